// Which programs may use the interface, and for what? A token is made, used, and taken back.
import { assert, journey } from "../harness.mjs";

await journey(async (world) => {
  const page = await world.page();
  await world.open(page, "tokens");
  await page.getByRole("button", { name: "New token" }).first().click();
  const dialog = page.getByRole("dialog");
  await world.allowing([422], async () => {
    await dialog.getByRole("button", { name: "Create" }).click();
    await dialog.locator("[aria-invalid=true]").first().waitFor();
  });
  await dialog.getByLabel(/^Name/).fill("monitor");
  await dialog.getByRole("button", { name: "Watch" }).click();
  await dialog.getByRole("group", { name: "Domains", exact: true }).getByLabel("read").check();
  await dialog.getByLabel("Only these domains").fill("example.test");
  await dialog.getByLabel("Ends").selectOption("30");
  await dialog.getByRole("button", { name: "Create" }).click();
  const secret = await page.locator(".secret-value").textContent();
  assert(/^pbx_[0-9a-z]+_[0-9a-z]+$/.test(secret ?? ""), `the secret: ${secret}`);
  const ask = (path) => fetch(`${world.base}/api/v1${path}`, { headers: { Authorization: `Bearer ${secret}` } });
  assert((await ask("/domains/example.test")).status === 200, "it may read its domain");
  assert((await ask("/accounts")).status === 403, "and no accounts");
  await page.getByText("How a program uses it").click();
  await page.getByText(/^curl -H/).waitFor();
  await page.getByRole("button", { name: "I have kept it" }).click();

  await page.reload();
  await page.getByRole("button", { name: "Delete monitor" }).click();
  await dialog.getByText(/It was (last|never) used/).waitFor();
  await dialog.getByRole("button", { name: "Delete the token" }).click();
  await page.getByText("opens nothing any more.").waitFor();
  assert((await ask("/domains/example.test")).status === 401, "it is gone");

  await world.rest("POST", "/tokens", { name: "provisioning", scopes: ["admin"], allow_ips: ["192.0.2.0/24"] });
  await world.survey("tokens", "tokens");
  await world.survey("token-new", "tokens", { act: async (view) => {
    await view.getByRole("button", { name: "New token" }).click();
    await view.getByRole("group", { name: "Domains", exact: true }).waitFor();
  } });
});
