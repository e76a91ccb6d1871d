// Who swaps roles with us? A peer is made, mail waits for it, a session is begun and its dialogue watched.
import { assert, journey } from "../harness.mjs";

const { PEER_HOST, PEER_PORT, PEER_SHA256, PEER_SECRET } = process.env;

await journey(async (world) => {
  const page = await world.page();
  await world.open(page, "turn");
  await page.getByRole("button", { name: "New peer" }).click();
  const dialog = page.getByRole("dialog");
  await world.allowing([422], async () => {
    await dialog.getByLabel("Name", { exact: false }).first().fill("branch");
    await dialog.getByRole("button", { name: "Create" }).click();
    await dialog.locator("[aria-invalid=true]").first().waitFor();
  });
  await dialog.getByLabel(/^Its domains/).fill("branch.test\nexample.test");
  await dialog.getByLabel("User name").fill("hub");
  await dialog.getByLabel(/^Secret/).fill(PEER_SECRET);
  await dialog.getByLabel("Host").fill(PEER_HOST);
  await dialog.getByLabel("Port").fill(PEER_PORT);
  await dialog.getByLabel("Who dials").selectOption("initiate");
  await dialog.getByLabel("Fingerprint of its certificate").fill(PEER_SHA256);
  await dialog.getByRole("button", { name: "Create" }).click();
  await page.getByRole("heading", { name: "branch" }).waitFor();

  await world.send("alice@example.test", ["x@branch.test", "y@branch.test"], "to be fetched");
  await page.getByText("2 recipients waiting").waitFor();
  await page.getByRole("button", { name: "Start a session…" }).click();
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await page.waitForURL(/turn\/s_/);
  await page.locator(".dialogue").getByText("ATRN").first().waitFor();
  await page.locator(".badge", { hasText: "done" }).waitFor();
  const session = page.url().split("/turn/")[1];
  await world.survey("turn-session", `turn/${session}`);

  await world.open(page, "turn");
  await page.getByText("nothing waits").first().waitFor();
  await world.survey("turn", "turn");
  await world.survey("turn-edit", "turn", { act: async (view) => {
    await view.getByRole("button", { name: "Edit" }).click();
    await view.getByLabel("Host").waitFor();
  } });
  await page.getByRole("button", { name: "Delete…" }).click();
  assert(await page.getByText("the holding of mail for 2 domains").count(), "it says what is lost");
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByText("No peers yet").waitFor();

  // One that is known by its certificate has no user name and no secret.
  await page.getByRole("button", { name: "New peer" }).click();
  await dialog.getByLabel("Name", { exact: false }).first().fill("shown");
  await dialog.getByLabel(/^Its domains/).fill("shown.test");
  await dialog.getByLabel("Who dials").selectOption("accept");
  await dialog.getByLabel("Known by").selectOption("certificate");
  assert(await dialog.getByLabel("User name").count() === 0, "there is no user name to fill in");
  await world.allowing([422], async () => {
    await dialog.getByRole("button", { name: "Create" }).click();
    await dialog.locator("[aria-invalid=true]").first().waitFor();
  });
  await dialog.getByLabel("Fingerprint of the certificate that it shows").fill(`${"AB:".repeat(31)}AB`);
  await dialog.getByRole("button", { name: "Create" }).click();
  await page.getByText("ab".repeat(32)).waitFor();
  await page.getByText("who holds the certificate").waitFor();
});
