// A queue of thousands scrolls: rows come as they are reached, those far from view are not drawn, and all can be chosen.
import { assert, journey } from "../harness.mjs";

const MESSAGES = 8;
const RECIPIENTS = 500;

await journey(async (world) => {
  for (let number = 0; number < MESSAGES; number += 1) {
    const to = Array.from({ length: RECIPIENTS }, (_, place) => `user${number}.${place}@lost.test`);
    await world.send("alice@example.test", to, `Bulk ${number}`);
  }
  const page = await world.page();
  await world.open(page, "queue?domain=lost.test");
  const last = page.locator("tbody tr[data-key]").last();
  await world.until("the end of the list", async () => {
    await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
    return (await page.getByRole("button", { name: /Show more|Loading/ }).count()) === 0;
  });
  await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
  await last.getByText(new RegExp(`user${MESSAGES - 1}\\.`)).waitFor();
  const drawn = await page.locator("tbody tr[data-key]").count();
  assert(drawn < 1000, `rows far from view are not drawn: ${drawn} are`);
  await page.evaluate(() => scrollTo(0, 0));
  await page.getByRole("checkbox", { name: /^Select all/ }).check();
  await page.getByText(/4,\d{3} recipients selected/).waitFor();
  await page.getByRole("region", { name: "Selection" }).getByRole("button", { name: "Hold…" }).click();
  await page.getByRole("heading", { name: /^Hold 4,\d{3} recipients\?/ }).waitFor();
  await page.getByLabel("Why they are held").fill("one by one");
  await page.getByRole("button", { name: /^Hold 4,/ }).click();
  await page.getByText(/4,\d{3} recipients held/).waitFor();
});
