// Is there a good copy of everything? One is made, checked, fetched, staged to be put in place, and removed.
import { assert, journey } from "../harness.mjs";

await journey(async (world) => {
  const page = await world.page();
  await world.open(page, "backups");
  await page.getByText("No backup yet").waitFor();
  await page.getByRole("button", { name: "Make a backup" }).first().click();
  await page.getByText("by hand").waitFor();
  await page.getByText("The backup is made, and all of it was checked.").waitFor();
  await page.getByRole("button", { name: /^Check manual-/ }).click();
  await page.getByText("All of it was checked: it is good.").waitFor();
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: /^Download manual-/ }).click();
  const name = (await download).suggestedFilename();
  assert(/^manual-\d{8}T\d{6}Z\.redb$/.test(name), `the file is called ${name}`);
  assert((await (await download).failure()) === null, "all of it came");
  const file = await (await download).path();

  // By the keyboard alone: the whole word has to be typed.
  await page.getByRole("button", { name: /^Restore manual-/ }).focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  const restore = dialog.getByRole("button", { name: "Restore", exact: true });
  await dialog.getByLabel(/^Type restore/).focus();
  await page.keyboard.type("restor");
  assert(await restore.isDisabled(), "not yet");
  await page.keyboard.type("e");
  await dialog.getByLabel("Start the server again at once").uncheck();
  await restore.focus();
  await page.keyboard.press("Enter");
  await dialog.getByText("It takes the place of the data file when the server is started the next time.").waitFor();
  await dialog.getByRole("button", { name: "Close" }).last().click();
  await page.getByText("A backup waits to be put in place").waitFor();
  await world.survey("backups", "backups");
  await page.getByRole("button", { name: "Drop it" }).click();
  await page.getByText("A backup waits to be put in place").waitFor({ state: "detached" });

  // The same from a file.
  await page.getByRole("button", { name: "Restore from a file…" }).click();
  await dialog.getByLabel(/^Backup/).setInputFiles(file);
  await dialog.getByLabel(/^Type restore/).fill("restore");
  await dialog.getByLabel("Start the server again at once").uncheck();
  await restore.click();
  await dialog.getByText("It takes the place of the data file when the server is started the next time.").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Drop it" }).click();

  await page.getByRole("button", { name: /^Delete manual-/ }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete the backup" }).click();
  await page.getByText("No backup yet").waitFor();
});
