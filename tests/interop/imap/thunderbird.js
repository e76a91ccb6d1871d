// What a person does in Thunderbird, by the functions that its buttons call. Each step is a function that is awaited.

const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const { MailUtils } = ChromeUtils.importESModule("resource:///modules/MailUtils.sys.mjs");

const server = () => MailServices.accounts.accounts.map(account => account.incomingServer).find(one => one.type == "imap");
const folder = path =>
  path.split("/").reduce((parent, name) => parent.getChildNamed(name), server().rootFolder).QueryInterface(Ci.nsIMsgImapMailFolder);
const messages = path => [...folder(path).messages];
const message = (path, name) => {
  const found = messages(path).find(header => header.messageId == `${name}@example.test`);
  if (!found) {
    throw new Error(`${name} is not in ${path}: ${messages(path).map(header => header.messageId)}`);
  }
  return found;
};

/** Runs something that tells a listener of its end. */
const finished = run =>
  new Promise((resolve, reject) => {
    const end = status => (Components.isSuccessCode(status) ? resolve() : reject(new Error(`status ${status.toString(16)}`)));
    run({
      QueryInterface: ChromeUtils.generateQI(["nsIUrlListener", "nsIMsgCopyServiceListener", "nsIMsgSendListener"]),
      OnStartRunningUrl() {},
      OnStopRunningUrl: (url, status) => end(status),
      onStartCopy() {},
      onProgress() {},
      setMessageKey() {},
      getMessageId: () => null,
      onStopCopy: end,
    });
  });

/** Waits until `condition` holds: for what Thunderbird does by itself. */
const until = async (what, condition) => {
  const deadline = Date.now() + 20000;
  while (!condition()) {
    if (Date.now() > deadline) {
      throw new Error(`never: ${what}`);
    }
    await new Promise(resolve => setTimeout(resolve, 20));
  }
};

const steps = {
  /** The server's certificate, which nobody has signed, and the password: what a person is asked for once. */
  async trust(certificate, ports, user, password) {
    const database = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
    const overrides = Cc["@mozilla.org/security/certoverride;1"].getService(Ci.nsICertOverrideService);
    for (const port of ports) {
      overrides.rememberValidityOverride("127.0.0.1", port, {}, database.constructX509FromBase64(certificate), true);
    }
    for (const place of ["imap://127.0.0.1", "smtp://127.0.0.1"]) {
      const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
      login.init(place, null, place, user, password, "", "");
      await Services.logins.addLoginAsync(login);
    }
    server().password = password;
  },

  /** Logs in and looks which folders there are, `count` of them: their paths, and what they are for. */
  async folders(count) {
    server().performExpand(window.msgWindow);
    await until("the folders are listed", () => server().rootFolder.descendants.length == count);
    const purposes = ["Inbox", "Archive", "Drafts", "Junk", "SentMail", "Trash"];
    return Object.fromEntries(
      server().rootFolder.descendants.map(one => [
        one.URI.replace(/^imap:..[^/]*./, ""),
        purposes.filter(name => one.getFlag(Ci.nsMsgFolderFlags[name])).join(" "),
      ])
    );
  },

  /** Looks for what is new in a folder: the names of its letters. */
  async update(path) {
    let isOver = false;
    const update = async () => {
      await finished(listener => folder(path).updateFolderWithListener(window.msgWindow, listener));
      isOver = true;
    };
    // A listener is forgotten where an update is under way already.
    const later = new Promise(resolve => setTimeout(resolve, 3000)).then(() => isOver || update());
    await Promise.race([update(), later]);
    return messages(path).map(header => header.messageId.replace(/@.*/, "")).sort();
  },

  /** Opens a folder and a letter in it, in the window; it becomes read by that. */
  async open(path, name) {
    const pane = window.gTabmail.currentAbout3Pane;
    pane.displayFolder(folder(path).URI);
    await until("the letter is in the list", () => pane.gDBView && pane.gDBView.findIndexOfMsgHdr(message(path, name), true) < 1e6);
    pane.threadTree.selectedIndex = pane.gDBView.findIndexOfMsgHdr(message(path, name), true);
    await until("the letter is read", () => message(path, name).isRead);
    const shown = () => pane.messageBrowser.contentDocument.getElementById("messagepane").contentDocument;
    await until("the letter is shown", () => shown()?.body?.textContent.trim());
    return shown().body.textContent;
  },

  /** The source of a letter, in base64. */
  async source(path, name) {
    const uri = folder(path).getUriForMsg(message(path, name));
    const parts = [];
    await new Promise((resolve, reject) =>
      MailServices.messageServiceFromURI(uri).streamMessage(
        uri,
        {
          QueryInterface: ChromeUtils.generateQI(["nsIStreamListener", "nsIRequestObserver"]),
          onStartRequest() {},
          onDataAvailable(request, stream, offset, count) {
            const input = Cc["@mozilla.org/binaryinputstream;1"].createInstance(Ci.nsIBinaryInputStream);
            input.setInputStream(stream);
            parts.push(input.readBytes(count));
          },
          onStopRequest: (request, status) => (Components.isSuccessCode(status) ? resolve() : reject(new Error(`status ${status}`))),
        },
        null,
        null,
        false,
        "",
        false
      )
    );
    return btoa(parts.join(""));
  },

  async star(path, name) {
    folder(path).markMessagesFlagged([message(path, name)], true);
    folder(path).addKeywordsToMessages([message(path, name)], "$label1");
  },

  async unread(path, name) {
    folder(path).markMessagesRead([message(path, name)], false);
  },

  async create(name) {
    server().rootFolder.createSubfolder(name, window.msgWindow);
    await until("the folder is there", () => server().rootFolder.getChildNamed(name));
  },

  /** Moves letters, or copies them; with no way back, which Thunderbird would first do for show. */
  async move(from, names, to, moves) {
    const headers = names.map(name => message(from, name));
    await finished(listener =>
      MailServices.copy.copyMessages(folder(from), headers, folder(to), moves, listener, window.msgWindow, false)
    );
  },

  /** Deletes letters, as Thunderbird does it: they go to Trash. */
  async remove(path, names) {
    const headers = names.map(name => message(path, name));
    await finished(listener => folder(path).deleteMessages(headers, window.msgWindow, false, false, listener, false));
  },

  /** Empties Trash for good. */
  async empty() {
    await finished(listener => folder("Trash").emptyTrash(listener));
  },

  /** Has the server search bodies and subjects: the letters that have both texts. */
  async search(path, subject, body) {
    const session = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession);
    session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, folder(path));
    for (const [attribute, text] of [
      [Ci.nsMsgSearchAttrib.Subject, subject],
      [Ci.nsMsgSearchAttrib.Body, body],
    ]) {
      const term = session.createTerm();
      term.attrib = attribute;
      term.op = Ci.nsMsgSearchOp.Contains;
      term.booleanAnd = true;
      const value = term.value;
      value.attrib = attribute;
      value.str = text;
      term.value = value;
      session.appendTerm(term);
    }
    const found = [];
    await new Promise(resolve => {
      session.registerListener({
        QueryInterface: ChromeUtils.generateQI(["nsIMsgSearchNotify"]),
        onSearchHit: header => found.push(header.messageId.replace(/@.*/, "")),
        onSearchDone: resolve,
        onNewSearch() {},
      });
      session.search(window.msgWindow);
    });
    return found.sort();
  },

  /** Writes a letter and sends it; it is kept in Sent. */
  async send(to, subject, text) {
    const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
    const identity = MailServices.accounts.allIdentities[0];
    Object.assign(fields, { from: identity.email, to, subject, messageId: "<sent@example.test>" });
    fields.fcc = identity.fccFolderURI || folder("Sent").URI;
    const send = Cc["@mozilla.org/messengercompose/send;1"].createInstance(Ci.nsIMsgSend);
    await new Promise((resolve, reject) => {
      send.createAndSendMessage(
        null,
        identity,
        "account1",
        fields,
        false,
        false,
        Ci.nsIMsgSend.nsMsgDeliverNow,
        null,
        "text/plain",
        text,
        null,
        null,
        {
          QueryInterface: ChromeUtils.generateQI(["nsIMsgSendListener", "nsIMsgCopyServiceListener"]),
          onStartSending() {},
          onProgress() {},
          onSendProgress() {},
          onStatus() {},
          onStopSending(id, status, note) {
            if (!Components.isSuccessCode(status)) {
              reject(new Error(`sending: ${status.toString(16)} ${note}`));
            }
          },
          onGetDraftFolderURI() {},
          onSendNotPerformed() {},
          onTransportSecurityError: (id, status) => reject(new Error(`TLS: ${status.toString(16)}`)),
          onStartCopy() {},
          setMessageKey() {},
          getMessageId: () => null,
          onStopCopy: status => (Components.isSuccessCode(status) ? resolve() : reject(new Error(`Sent: ${status.toString(16)}`))),
        },
        "",
        "",
        Ci.nsIMsgCompType.New
      ).catch?.(reject);
    });
  },

  /** Waits until a letter is there that nobody looked for. */
  async arrives(path, name) {
    await until(`${name} arrives`, () => messages(path).some(header => header.messageId == `${name}@example.test`));
  },

  /** Waits until a letter is gone that something else has deleted. */
  async vanishes(path, name) {
    await until(`${name} vanishes`, () => !messages(path).some(header => header.messageId == `${name}@example.test`));
  },
};
