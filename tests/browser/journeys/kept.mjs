// What a desired state keeps says so, and is locked until somebody wants to change it all the same.
import { assert, journey } from "../harness.mjs";

await journey(async (world) => {
  await world.rest("PUT", "/state?force=true", {
    domains: { "kept.test": { max_accounts: 5 } },
    accounts: { "carla@kept.test": { display_name: "Carla" } },
    aliases: { "info@kept.test": { targets: ["carla@kept.test"] } },
    peers: { depot: { verbs: ["atrn"], direction: "accept", domains: ["depot.test"], auth: { sasl_user: "depot", secret: "x".repeat(24) } } },
    settings: { "smtp.idle_seconds": 200 },
  });
  const page = await world.page();
  const anyway = page.getByRole("button", { name: "Edit anyway" });
  const isKept = page.getByText("state file", { exact: true });

  for (const [path, name] of [["domains", "kept.test"], ["accounts", "carla@kept.test"]]) {
    await world.open(page, path);
    await world.until(`one of ${path} is kept by the state`, async () => (await isKept.count()) === 1);
    await page.getByRole("row", { name }).getByText("state file").waitFor();
  }
  await world.open(page, "domains/kept.test");
  assert(await page.getByLabel("Accounts at most").isDisabled(), "the domain is locked");
  assert((await page.getByRole("button", { name: "Save" }).count()) === 0, "and can't be saved");
  await world.survey("kept-domain", "domains/kept.test");
  await anyway.click();
  await page.getByLabel("Accounts at most").fill("6");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved kept.test.").waitFor();
  assert((await world.rest("GET", "/domains/kept.test")).max_accounts === 6, "it is changed all the same");

  await world.open(page, "accounts/carla%40kept.test");
  assert(await page.getByLabel("Whose it is").isDisabled(), "the account is locked");
  await page.getByRole("button", { name: "Delete…" }).click();
  await page.getByRole("dialog").getByText("made anew").waitFor();
  await page.keyboard.press("Escape");
  await anyway.click();
  assert(await page.getByLabel("Whose it is").isEnabled(), "the account is open");

  await world.open(page, "aliases");
  await page.getByRole("button", { name: "Edit info@kept.test" }).click();
  assert(await page.getByLabel("Note").isDisabled(), "the alias is locked");
  await anyway.click();
  await page.getByLabel("Note").fill("by hand");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved info@kept.test.").waitFor();

  await world.open(page, "turn");
  await isKept.waitFor();
  await page.getByRole("button", { name: "Edit" }).click();
  await anyway.waitFor();
  assert(await page.getByRole("dialog").getByLabel("Note").isDisabled(), "the peer is locked");
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();

  await world.open(page, "settings?q=smtp.idle_seconds");
  await page.getByRole("button", { name: "Change smtp.idle_seconds" }).click();
  assert(await page.getByLabel("Value").isDisabled(), "the setting is locked");
  await anyway.click();
  await page.getByLabel("Value").fill("201");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("set here").waitFor();
});
