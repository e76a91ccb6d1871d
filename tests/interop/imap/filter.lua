-- Rules for imapfilter: each picks letters in its own way, and does something else with them.
options.timeout = 60
options.create = true
options.subscribe = true
options.close = true
options.expunge = true
options.certificates = false

local alice = IMAP {
    server = '127.0.0.1',
    port = tonumber(os.getenv('IMAP_PORT')),
    username = os.getenv('IMAP_USER'),
    password = os.getenv('IMAP_PASSWORD'),
    ssl = 'auto',
}

local inbox = alice.INBOX
local exist, unread, unseen = inbox:check_status()
assert(exist == 8 and unseen == 6, 'STATUS: ' .. exist .. ' and ' .. unseen)

-- What is asked of the server.
assert(#inbox:is_seen() == 2)
assert(#inbox:is_flagged() == 1)
assert(#inbox:is_larger(500000) == 1)
assert(#inbox:contain_subject('Letter') == 7)
assert(#inbox:contain_from('sender@elsewhere.test') == 7)
assert(#inbox:contain_body('quiet letter') == 1)
assert(#inbox:contain_field('Message-ID', 'three@example.test') == 1)
assert(#inbox:has_keyword('important') == 1)
assert(#inbox:sent_since('01-Jan-2026') == 8 and #inbox:sent_before('01-Jan-2026') == 0)
assert(#inbox:arrived_before('03-Jan-2026') == 2)

-- Moved to a mailbox that is not there yet, with the server's help.
local quiet = inbox:contain_body('quiet letter') + inbox:contain_subject('Letter seven')
quiet:move_messages(alice['Lists/quiet'])

-- Marked, and copied.
local large = inbox:is_larger(500000)
large:mark_flagged()
large:add_flags({ 'large', '\\Seen' })
large:copy_messages(alice['Archive'])

-- A pattern that imapfilter itself matches, on headers and on text that it fetches.
local nested = inbox:match_header('boundary="outer"') * inbox:match_body('bold words')
assert(#nested == 1)
nested:mark_answered()
nested:remove_flags({ 'important' })

-- Deleted, all but one of those that are not seen.
local rest = inbox:is_unseen() - nested - inbox:contain_subject('Letter two')
rest:delete_messages()

-- What it fetches is what is there.
local uid = inbox:contain_subject('Letter two')[1][2]
local file = io.open('two.read', 'wb')
file:write(inbox[uid]:fetch_message())
file:close()

alice:create_mailbox('Old')
alice:subscribe_mailbox('Old')
alice:rename_mailbox('Old', 'New name')
local found = {}
for _, level in ipairs({ '', 'Lists' }) do
    local names = alice:list_all(level)
    for _, name in ipairs(names) do found[name] = true end
end
assert(found['INBOX'] and found['New name'] and found['Lists/quiet'] and not found['Old'], 'LIST')
