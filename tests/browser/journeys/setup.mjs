// What now? The one-time link leads in three steps to a server with an administrator, a name and a domain.
import { assert, journey } from "../harness.mjs";

await journey(async (world) => {
  const { url } = await world.rest("POST", "/setup/link");
  const link = url.split("/").pop();
  await world.survey("not-set-up", "overview", { as: null });
  await world.survey("setup", `setup/${link}`, { as: null });
  const page = await world.page({ as: null });
  await world.open(page, `setup/${link}`);

  // A backup instead: what is none is not taken, and the set-up goes on.
  await page.getByRole("button", { name: "Restore it instead" }).click();
  await page.getByRole("button", { name: "Restore", exact: true }).click();
  await page.getByText("Choose the file with the backup.").waitFor();
  await page.getByLabel(/^Backup/).setInputFiles({ name: "mail.redb", mimeType: "application/octet-stream", buffer: Buffer.from("no backup") });
  await page.getByRole("button", { name: "Restore", exact: true }).click();
  await page.getByText("The backup was not taken").waitFor();
  await page.getByRole("button", { name: "Choose another" }).click();
  await page.getByRole("button", { name: "Back", exact: true }).click();

  await page.getByRole("button", { name: "Go on" }).click();
  await page.locator("[aria-invalid=true]").first().waitFor();
  await page.getByLabel(/^Your address/).fill("root@first.example.test");
  await page.getByRole("button", { name: "Make one" }).click();
  const password = await page.locator("input[name=password]").inputValue();
  await page.getByRole("button", { name: "Go on" }).click();
  const name = page.getByLabel(/^Host name/);
  assert(await name.inputValue(), "a name is proposed");
  await name.fill("mail.first.example.test");
  await page.getByRole("button", { name: "Go on" }).click();
  assert((await page.getByLabel("Domain").inputValue()) === "first.example.test", "so is the domain");

  // What the server refuses leads back to the step where it was asked for.
  await page.getByRole("button", { name: "Administrator" }).click();
  await page.getByLabel(/^Your address/).fill("root@first..example.test");
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByRole("button", { name: "Go on" }).click();
  await world.allowing([422], async () => {
    await page.getByRole("button", { name: "Finish" }).click();
    await page.locator("input[name=email][aria-invalid=true]").waitFor();
  });
  await page.getByLabel(/^Your address/).fill("root@first.example.test");
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByRole("button", { name: "Finish" }).click();
  await page.getByText("The server is set up. What next?").waitFor();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.getByText("root@first.example.test").first().waitFor();
  await page.getByRole("link", { name: "Set the DNS records" }).click();
  await page.getByRole("link", { name: "first.example.test" }).click();
  await page.getByText("first.example.test. 3600 IN MX 10").first().waitFor();

  // The link has done its work.
  const stranger = await world.page({ as: null });
  await world.open(stranger, `setup/${link}`);
  await stranger.getByRole("heading", { name: "Already set up" }).waitFor();
  await stranger.getByRole("link", { name: "Log in" }).click();
  await stranger.getByLabel(/^Address/).fill("root@first.example.test");
  await stranger.getByRole("textbox", { name: /^Password/ }).fill(password);
  await stranger.getByRole("button", { name: "Log in" }).click();
  await stranger.getByRole("heading", { name: "Overview" }).waitFor();
});
