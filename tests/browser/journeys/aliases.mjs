// Where does this address go? Aliases are made, changed in their line, followed to their ends, and deleted.
import { assert, journey } from "../harness.mjs";

await journey(async (world) => {
  const page = await world.page();
  await world.open(page, "aliases");
  await page.getByText("No alias yet").waitFor();
  const dialog = page.getByRole("dialog");
  const make = async (address, targets) => {
    await page.getByRole("button", { name: "New alias" }).first().click();
    await dialog.getByLabel(/^Address/).fill(address);
    await dialog.getByLabel(/^Leads to/).fill(targets);
    await dialog.getByRole("button", { name: "Create" }).click();
    await page.getByRole("article", { name: address }).waitFor();
  };
  await make("info@example.test", "alice@example.test\nsales@example.test");
  await make("sales@example.test", "bob@example.test\nsomebody@elsewhere.test");

  await page.getByLabel("Where does mail for this address go?").fill("info@example.test");
  await page.getByRole("button", { name: "Follow it" }).click();
  const chain = page.locator(".chain");
  await chain.getByText("somebody@elsewhere.test").waitFor();
  await chain.getByRole("link", { name: "bob@example.test" }).waitFor();
  await page.getByText("Mail for it goes to 2 accounts here and to 1 address elsewhere.").waitFor();
  await page.getByLabel("Where does mail for this address go?").fill("alice+shop@example.test");
  await page.getByRole("button", { name: "Follow it" }).click();
  await chain.getByText("with a tag").waitFor();
  await chain.getByRole("link", { name: "alice@example.test" }).waitFor();
  await page.getByLabel("Where does mail for this address go?").fill("nobody@example.test");
  await page.getByRole("button", { name: "Follow it" }).click();
  await page.getByText("Nobody has this address").waitFor();

  await page.getByRole("button", { name: "Edit sales@example.test" }).click();
  await world.allowing([422], async () => {
    await page.getByRole("textbox", { name: /^Leads to/ }).fill("bob@example.test\nnot an address");
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator("textarea[aria-invalid=true]").waitFor();
  });
  await page.getByRole("textbox", { name: /^Leads to/ }).fill("bob@example.test");
  await page.getByLabel("Only from accounts here").check();
  await page.getByLabel("Note").fill("for orders");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved sales@example.test.").waitFor();
  const kept = await world.rest("GET", "/aliases/sales@example.test");
  assert(kept.internal_only && kept.note === "for orders" && kept.targets.length === 1, JSON.stringify(kept));
  await world.survey("aliases", "aliases?resolve=info%40example.test", { act: (view) => view.locator(".chain").waitFor() });
  await world.survey("alias-edit", "aliases", { act: (view) => view.getByRole("button", { name: "Edit info@example.test" }).click() });

  await page.getByRole("button", { name: "Delete sales@example.test" }).click();
  await dialog.getByText("1 alias with 1 target").waitFor();
  await dialog.getByRole("button", { name: "Delete the alias" }).click();
  await page.getByText("Deleted sales@example.test.").waitFor();
  await page.getByLabel("Find an alias or a target").fill("alice@");
  await page.getByRole("article", { name: "info@example.test" }).waitFor();
});
