// What is set, to what, and by whom? A value is changed, refused in the server's words, reset; what a flag sets is locked.
import { assert, journey } from "../harness.mjs";

await journey(async (world) => {
  const page = await world.page();
  await world.open(page, "settings");
  const locked = page.locator(".setting", { hasText: "delivery.allow_networks" });
  await locked.getByText("Locked.").waitFor();
  assert((await locked.getByRole("button").count()) === 0, "what a flag sets is not changed here");

  await page.getByLabel("Find a setting").fill("delay notice");
  const row = page.locator(".setting", { hasText: "queue.delay_notice_seconds" });
  await world.until("only what fits", async () => (await page.locator(".setting").count()) === 1);
  await row.getByText("4 h").waitFor();
  await page.getByRole("button", { name: "Change queue.delay_notice_seconds" }).click();
  await world.allowing([422], async () => {
    await row.getByLabel("Value").fill("");
    await row.getByRole("button", { name: "Save" }).click();
    await row.locator("[aria-invalid=true]").waitFor();
  });
  await row.getByLabel("Value").fill("7200");
  await row.getByText("That is 2 h.").waitFor();
  await row.getByRole("button", { name: "Save" }).click();
  await row.getByText("set here").waitFor();
  assert((await world.rest("GET", "/settings/queue.delay_notice_seconds")).value === 7200, "it is set");
  await world.survey("settings-changed", "settings?changed=yes");
  await page.getByRole("button", { name: "Reset queue.delay_notice_seconds to its default" }).click();
  await row.getByText("default", { exact: true }).waitFor();

  // One that was changed meanwhile by somebody else is not overwritten.
  await world.rest("PATCH", "/settings?force=true", { "smtp.idle_seconds": 301 });
  await page.getByRole("button", { name: "Change queue.delay_notice_seconds" }).click();
  await world.allowing([412], async () => {
    await row.getByLabel("Value").fill("60");
    await row.getByRole("button", { name: "Save" }).click();
    await row.locator(".error-box").waitFor();
  });
  await world.survey("settings", "settings");
  await world.survey("setting-edit", "settings?q=delay notice", { act: (view) => view.getByRole("button", { name: /^Change/ }).first().click() });
});
