// Who are you? A wrong password is told, a right one leads to where one wanted to go, an ended session leads back to it.
import { assert, journey } from "../harness.mjs";

await journey(async (world) => {
  const page = await world.page({ as: null });
  await world.open(page, "settings?q=retry");
  await page.getByLabel(/^Address/).fill(world.admin);
  const password = page.getByRole("textbox", { name: /^Password/ });
  await world.allowing([401], async () => {
    await password.fill("wrong");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.locator(".error-box").waitFor();
  });
  await password.fill(world.password);
  await page.getByRole("button", { name: "Show" }).click();
  assert((await password.getAttribute("type")) === "text", "the password can be looked at");
  await page.keyboard.press("Tab");
  await password.press("Enter");
  await page.getByRole("heading", { name: "Settings" }).waitFor();
  await page.getByText("queue.retry_seconds").waitFor();

  // The session is taken away: what is asked for next leads to Log in, and from there back.
  await page.context().clearCookies();
  await world.allowing([401], async () => {
    await page.evaluate(() => { location.hash = "#/accounts"; });
    await page.getByText("Your session has ended").waitFor();
  });
  await page.getByLabel(/^Address/).fill(world.admin);
  await password.fill(world.password);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { name: "Accounts" }).waitFor();
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  assert((await page.getByText("Your session has ended").count()) === 0, "who logs out knows why");
  await world.survey("login", "overview", { as: null });
});
