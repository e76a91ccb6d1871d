// Who has mail here? An account is made, set, given app passwords, stopped when it is compromised, and deleted.
import { assert, journey } from "../harness.mjs";

await journey(async (world) => {
  const page = await world.page();
  await world.open(page, "accounts");
  await page.getByRole("button", { name: "New account" }).click();
  const dialog = page.getByRole("dialog");
  await world.allowing([422], async () => {
    await dialog.getByLabel(/^Name/).fill("no good");
    await dialog.getByRole("button", { name: "Create" }).click();
    await dialog.locator("[aria-invalid=true]").waitFor();
  });
  await dialog.getByLabel(/^Name/).fill("carol");
  await dialog.getByLabel("Password", { exact: false }).first().fill("abc");
  await dialog.getByText("Very weak.").waitFor();
  await dialog.getByRole("button", { name: "Make one" }).click();
  await dialog.getByText("Strong.").waitFor();
  const password = await dialog.locator("input[name=password]").inputValue();
  await dialog.getByRole("button", { name: "Create" }).click();
  await page.getByRole("heading", { name: "carol@example.test" }).waitFor();

  // The password that was made is the account's.
  const login = Buffer.from(`\0carol@example.test\0${password}`).toString("base64");
  const answers = await world.smtp("SUBMISSION", ["EHLO laptop.example.test", `AUTH PLAIN ${login}`, "QUIT"]);
  assert(answers[2].startsWith("235"), `carol logs in: ${answers[2]}`);

  // What to enter in a mail program stands there, with the name of this server.
  await page.getByRole("row", { name: /Reading.*IMAP.*mail\.example\.test/ }).first().waitFor();

  await page.getByLabel("Whose it is").fill("Carol");
  await page.getByLabel("Quota", { exact: true }).fill("1");
  await page.getByLabel("Fetching (POP3)").uncheck();
  await page.getByLabel("operator: runs the server, reads no content").check();
  await world.allowing([422], async () => {
    await page.getByLabel(/^Sends as/).fill("sales@example.test\nnot an address");
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator("textarea[aria-invalid=true]").waitFor();
  });
  await page.getByLabel(/^Sends as/).fill("sales@example.test");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved carol@example.test.").waitFor();
  const kept = await world.rest("GET", "/accounts/carol@example.test");
  assert(kept.display_name === "Carol" && kept.quota_bytes === 1e9 && !kept.protocols.includes("pop3"), JSON.stringify(kept));
  await page.getByLabel(/^Forwards to/).fill("carol@elsewhere.test");
  await page.getByLabel("Keeps a copy here").uncheck();
  await page.getByRole("button", { name: "Save" }).click();
  await world.until("the forward", async () => {
    const { forward } = await world.rest("GET", "/accounts/carol@example.test");
    return forward?.to[0] === "carol@elsewhere.test" && forward.keep === false;
  });
  assert(kept.roles.includes("operator") && kept.send_as[0] === "sales@example.test", JSON.stringify(kept));

  // An app password is shown once, works, and is taken back alone.
  await page.getByRole("button", { name: "New app password" }).click();
  await dialog.getByLabel(/^For what/).fill("phone");
  await dialog.getByRole("button", { name: "Create" }).click();
  const secret = await page.locator(".secret-value").textContent();
  const phone = Buffer.from(`\0carol@example.test\0${secret}`).toString("base64");
  const said = await world.smtp("SUBMISSION", ["EHLO phone.example.test", `AUTH PLAIN ${phone}`, "QUIT"]);
  assert(said[2].startsWith("235"), `the phone logs in: ${said[2]}`);
  await page.getByRole("button", { name: "I have kept it" }).click();
  assert((await page.locator(".secret-value").count()) === 0, "it is not shown again");
  await page.reload();
  await page.getByRole("button", { name: "Delete phone" }).click();
  await dialog.getByText("1 app password").waitFor();
  await dialog.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByText("“phone” can't log in any more.").waitFor();
  const late = await world.smtp("SUBMISSION", ["EHLO phone.example.test", `AUTH PLAIN ${phone}`, "QUIT"]);
  assert(late[2].startsWith("535"), `the phone is out: ${late[2]}`);
  await world.survey("account", "accounts/carol%40example.test");

  await world.send("alice@example.test", "somebody@lost.test", "waits");
  const sent = () => world.rest("GET", "/queue?sender=alice@example.test").then((answer) => answer.items);
  await world.until("its mail to wait", async () => (await sent()).every((one) => one.state === "waiting"));

  // Compromised: off, logged out, and what it has sent is held.
  await world.open(page, "accounts/alice%40example.test");
  await page.getByRole("button", { name: "Compromised…" }).click();
  await dialog.getByText(/\d+ recipients? of its mail/).waitFor();
  await dialog.getByRole("button", { name: "Stop it now" }).click();
  await page.getByText("is off and logged out").waitFor();
  await page.locator(".facts").getByText("disabled").waitFor();
  await world.until("its mail to be held", async () => {
    const items = await sent();
    return items.length > 0 && items.every((one) => one.state === "held");
  });
  await page.getByRole("button", { name: "Enable" }).click();
  await page.getByText("alice@example.test is on again.").waitFor();
  await page.getByRole("button", { name: "Disable…" }).click();
  await dialog.getByRole("button", { name: "Disable", exact: true }).click();
  await page.getByText("alice@example.test is off.").waitFor();

  // Deleting names what is lost, and wants the name typed.
  await world.open(page, "accounts/bob%40example.test");
  await page.getByRole("button", { name: "Delete…" }).click();
  await dialog.getByText("1 message (").waitFor();
  assert(await dialog.getByRole("button", { name: "Delete the account" }).isDisabled(), "not before the name is typed");
  await dialog.getByLabel(/^Type/).fill("bob@example.test");
  await dialog.getByRole("button", { name: "Delete the account" }).click();
  await page.waitForURL(/#\/accounts$/);
  await page.getByText("Deleted bob@example.test.").waitFor();

  await world.survey("accounts", "accounts");
  await world.survey("account-new", "accounts?new=yes", { act: (view) => view.getByRole("dialog").waitFor() });
  await world.survey("account-compromised", "accounts/carol%40example.test", { act: async (view) => {
    await view.getByRole("button", { name: "Compromised…" }).click();
    await view.getByRole("dialog").waitFor();
  } });

  // A domain's administrator sees the accounts of the domain, and no messages.
  const dora = await world.page({ as: "dora@example.test" });
  await world.open(dora, "accounts");
  await dora.getByRole("link", { name: "carol@example.test" }).click();
  await dora.getByRole("heading", { name: "carol@example.test" }).waitFor();
  await world.open(dora, "accounts/alice%40example.test");
  await dora.getByRole("button", { name: "New app password" }).click();
  const ways = dora.getByRole("dialog").getByRole("checkbox");
  // A count is taken at once: first the form has to be there.
  await dora.getByRole("dialog").getByLabel("Sending (SMTP)").waitFor();
  assert((await ways.count()) === 1 && (await ways.isChecked()), "she makes none that reads mail");
  await dora.getByRole("dialog").getByLabel(/^For what/).fill("scanner");
  await dora.getByRole("dialog").getByRole("button", { name: "Create" }).click();
  await dora.getByRole("button", { name: "I have kept it" }).click();
  await world.open(dora, "mailboxes/alice%40example.test/INBOX");
  await dora.getByText("You may not read messages").waitFor();
});
