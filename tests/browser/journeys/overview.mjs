// Is mail flowing? The overview says so, follows what happens, and leads to the queue.
import { assert, journey } from "../harness.mjs";

await journey(async (world) => {
  const page = await world.page();
  await world.open(page, "overview");
  assert(await page.locator(".verdict").textContent(), "there is a verdict");
  const waiting = page.locator(".tile", { hasText: "Waiting" }).locator("strong");
  const before = Number(await waiting.textContent());
  await world.send("alice@example.test", "dora@later.test", "one more");
  await world.until("the number of the waiting to grow by itself", async () => Number(await waiting.textContent()) > before);
  await page.locator(".tile", { hasText: "Waiting" }).click();
  await page.waitForURL(/queue\?state=waiting/);
  await world.settled(page);
  await world.until("the queue shows what waits", async () => (await page.locator("tbody tr").count()) > 0);
  await world.survey("overview", "overview");
});
