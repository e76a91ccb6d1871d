// Who changed what? Each change with what was before and after, filtered by who, what and when.
import { journey } from "../harness.mjs";

await journey(async (world) => {
  await world.rest("PUT", "/aliases/info@example.test", { targets: ["alice@example.test"] });
  await world.rest("PATCH", "/accounts/alice@example.test", { display_name: "Alice Liddell", quota_bytes: 1000000000 });
  await world.rest("DELETE", "/aliases/info@example.test");
  const page = await world.page();
  await world.open(page, "audit");
  const entries = page.locator(".audit-entry");
  await entries.filter({ hasText: "delete alias" }).getByText(/^deleted, with \d+ fields$/).waitFor();

  const changed = entries.filter({ hasText: "patch account" }).first();
  await changed.locator("summary").first().click();
  await changed.locator("del", { hasText: "alice" }).waitFor();
  await changed.locator("ins", { hasText: "Alice Liddell" }).waitFor();

  await page.getByLabel("What", { exact: true }).fill("put_alias");
  await page.keyboard.press("Enter");
  await page.waitForURL(/action=put_alias/);
  await entries.filter({ hasText: "put alias" }).waitFor();
  await world.until("only what fits: one alias was made", async () => (await entries.count()) === 1);
  await page.getByRole("button", { name: "Show all" }).click();

  // It follows what happens.
  await world.rest("PUT", "/aliases/later@example.test", { targets: ["bob@example.test"] });
  await entries.first().getByText("later@example.test").waitFor();
  await world.survey("audit", "audit", { act: async (view) => {
    await view.locator(".audit-entry", { hasText: "patch account" }).first().locator("summary").first().click();
    await view.locator("ins").first().waitFor();
  } });
});
