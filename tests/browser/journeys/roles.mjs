// Who may do less sees less: no button that would be refused, and no request either.
import { assert, journey } from "../harness.mjs";

await journey(async (world) => {
  const operator = await world.page({ as: "olga@example.test" });
  await world.open(operator, "overview");
  assert((await operator.getByRole("link", { name: "Tokens" }).count()) === 0, "an operator has no tokens in the menu");
  await world.open(operator, "queue");
  await world.until("an operator may flush", async () => (await operator.getByRole("button", { name: /^Flush/ }).count()) === 1);
  await operator.locator("tbody tr a").first().click();
  await operator.getByText("What happened").waitFor();
  assert((await operator.getByText("Show the header").count()) === 0, "content is not an operator's");
  await world.open(operator, "tokens");
  await operator.getByText("This page is not for you").waitFor();

  const local = await world.page({ as: "dora@example.test" });
  await world.open(local, "queue");
  await local.locator("tbody tr").first().waitFor();
  assert((await local.getByRole("button", { name: /^Flush/ }).count()) === 0, "a domain's administrator only looks");
  assert((await local.getByRole("checkbox").count()) === 0, "and selects nothing");
  await world.survey("denied", "settings", { as: "dora@example.test" });

  const nobody = await world.page({ as: "alice@example.test" });
  await world.open(nobody, "overview");
  await nobody.locator(".error-box").waitFor();
});
