// What is in a backup, and how do I get one message of it back? It is found, looked at, and brought back.
import { assert, journey } from "../harness.mjs";

await journey(async (world) => {
  await world.send("alice@example.test", "bob@example.test", "The one that matters", "Dear Bob,\r\n\r\nkeep this.");
  await world.send("alice@example.test", "bob@example.test", "Another one", "Dear Bob,\r\n\r\nas you like.");
  const { id } = await world.rest("POST", "/backups", {});
  const job = await world.until("the backup is made", async () => {
    const one = await world.rest("GET", `/jobs/${id}`);
    return ["queued", "running"].includes(one.state) ? undefined : one;
  });
  const backup = job.result.id;
  const inbox = "/accounts/bob@example.test/mailboxes/INBOX/messages";
  const before = (await world.rest("GET", inbox)).items;
  const lost = before.find((one) => one.subject === "The one that matters");
  await world.rest("DELETE", `${inbox}/${lost.uid}`);

  const page = await world.page();
  await world.open(page, "backups");
  await page.getByRole("link", { name: `Contents of ${backup}` }).click();
  await page.getByRole("link", { name: "bob@example.test" }).click();
  await page.getByRole("link", { name: "INBOX" }).click();
  await page.getByRole("button", { name: "Show the messages" }).click();
  await page.getByRole("row", { name: /The one that matters/ }).getByText("Gone").waitFor();
  await page.getByLabel("Find a sender, a recipient or a subject").fill("MATTERS");
  await page.getByText("Another one").waitFor({ state: "detached" });
  await page.getByRole("row", { name: /The one that matters/ }).getByRole("checkbox").check();
  await page.getByRole("button", { name: "Bring the selected back…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("1 message would come back").waitFor();
  await dialog.getByLabel("Into this mailbox").fill("Restored/today");
  await dialog.getByLabel("Into this mailbox").blur();
  await dialog.getByText("Made again: Restored/today").waitFor();
  await dialog.getByRole("button", { name: "Bring back" }).click();
  await dialog.getByText("1 message came back").waitFor();
  await dialog.getByRole("button", { name: "Close" }).last().click();
  await page.getByRole("row", { name: /The one that matters/ }).getByText("Still there").waitFor();
  const { items } = await world.rest("GET", "/accounts/bob@example.test/mailboxes/Restored%2Ftoday/messages");
  assert(items.length === 1 && items[0].id === lost.id, `it is the same message: ${JSON.stringify(items)}`);

  // A second time there is nothing to do.
  await page.getByRole("button", { name: "Bring the selected back…" }).click();
  await dialog.getByText("1 is still there and stays as it is").waitFor();
  assert(await dialog.getByRole("button", { name: "Bring back" }).isDisabled(), "there is nothing to bring back");

  const ask = async (view) => {
    await view.getByRole("button", { name: "Bring back bob@example.test" }).click();
    await view.getByText("would come back").waitFor();
  };
  await world.survey("backup-accounts", `backups/${backup}`);
  await world.survey("backup-restore", `backups/${backup}`, { act: ask });
  await world.survey("backup-mailboxes", `backups/${backup}/bob%40example.test`);
  await world.survey("backup-messages", `backups/${backup}/bob%40example.test/INBOX`, { act: (view) => view.getByRole("button", { name: "Show the messages" }).click() });
});
