// What is in it? Folders are made and deleted; messages are read only by who says so, and that is written down.
import { assert, journey } from "../harness.mjs";

await journey(async (world) => {
  await world.send("alice@example.test", "bob@example.test", "A letter to read", "Dear Bob,\r\n\r\nthis is the text.");
  const letter = ["Subject: With a picture", "MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=x", "", "--x", "Content-Type: text/html; charset=utf-8", "",
    "<h1>Hello <script>top.location='about:blank'</script></h1><img src='https://elsewhere.example/x.png'>", "--x",
    "Content-Type: text/plain; name=notes.txt", "Content-Disposition: attachment; filename=notes.txt", "", "some notes", "--x--", "."].join("\r\n");
  await world.smtp("SMTP", ["EHLO stranger.test", "MAIL FROM:<s@stranger.test>", "RCPT TO:<bob@example.test>", "DATA", letter, "QUIT"]);

  const page = await world.page();
  await world.open(page, "mailboxes");
  await page.getByRole("link", { name: "bob@example.test" }).click();
  await page.getByRole("button", { name: "New mailbox" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel(/^Name/).fill("Projects/2026 & more");
  await dialog.getByRole("button", { name: "Create" }).click();
  await page.getByRole("link", { name: "Projects/2026 & more" }).click();
  await page.getByRole("button", { name: "Show the messages" }).click();
  await page.getByText("No message here").waitFor();
  await page.getByRole("navigation", { name: "Above this page" }).getByRole("link", { name: "bob@example.test" }).click();
  await page.getByRole("button", { name: "Delete Projects/2026 & more" }).click();
  await dialog.getByText("0 messages").waitFor();
  await dialog.getByRole("button", { name: "Delete the mailbox" }).click();
  await page.getByText("Deleted the mailbox Projects/2026 & more.").waitFor();

  await page.getByRole("link", { name: "INBOX" }).click();
  await page.getByRole("link", { name: /A letter to read/ }).click();
  await page.getByText("this is the text.").waitFor();
  await page.getByRole("button", { name: "Mark as read" }).click();
  await page.getByRole("button", { name: "Mark as unread" }).waitFor();
  await page.getByText(/^\d+ fields$/).click();
  await page.locator(".header-fields").getByText("A letter to read").waitFor();

  // A part is kept as a file; HTML stands in a frame that may do nothing.
  await page.goBack();
  await page.getByRole("link", { name: /With a picture/ }).click();
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "notes.txt" }).click()]);
  assert(file.suggestedFilename() === "notes.txt", `the file's name: ${file.suggestedFilename()}`);
  await page.getByRole("button", { name: "Show as HTML" }).click();
  const frame = page.frameLocator("iframe.letter");
  await frame.locator("h1").getByText("Hello").waitFor();

  await page.getByRole("button", { name: "Delete…" }).click();
  await dialog.getByText("With a picture").waitFor();
  await dialog.getByRole("button", { name: "Delete the message" }).click();
  await page.getByText("Deleted the message.").waitFor();
  await page.waitForURL(/INBOX$/);

  // Each look was written down.
  const { items } = await world.rest("GET", "/audit?limit=100");
  assert(items.some((one) => one.actor.includes("admin@example.test") && one.action === "get_mailbox_message"), "a look is in the audit log");

  const show = (view) => view.getByRole("button", { name: "Show the messages" }).click();
  const { items: inbox } = await world.rest("GET", "/accounts/bob@example.test/mailboxes/INBOX/messages");
  await world.survey("mailboxes", "mailboxes");
  await world.survey("mailboxes-of-one", "mailboxes/bob%40example.test");
  await world.survey("mailbox-asks", "mailboxes/bob%40example.test/INBOX");
  await world.survey("mailbox-messages", "mailboxes/bob%40example.test/INBOX", { act: show });
  await world.survey("mailbox-message", `mailboxes/bob%40example.test/INBOX/${inbox[0].uid}`, { act: show });
});
