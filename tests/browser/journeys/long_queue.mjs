// A queue of 10,000: rows come as they are reached, those far from view are not drawn, all that fit are chosen at once, and
// keys go on working at its end. It counts nodes and requests; how long it takes is for the machine to say.
import { assert, journey } from "../harness.mjs";

const MESSAGES = 20;
const RECIPIENTS = 500;
/** What the page may consist of, whatever is in the queue: some three screens of rows and an empty body for each fifty others. */
const NODES_MAX = 9000;
/** To read it all from its beginning to its end. */
const REQUESTS_MAX = 40;

await journey(async (world) => {
  for (let number = 0; number < MESSAGES; number += 1) {
    const to = Array.from({ length: RECIPIENTS }, (_, place) => `user${number}.${place}@lost.test`);
    await world.send("alice@example.test", to, `Bulk ${number}`);
  }
  const page = await world.page();
  let requests = 0;
  page.on("request", (request) => (requests += /\/queue\?/.test(request.url()) ? 1 : 0));
  const nodes = () => page.evaluate(() => document.querySelectorAll("*").length);
  const isBounded = async (where) => {
    const count = await nodes();
    assert(count < NODES_MAX, `${where}: ${count} nodes`);
  };
  await world.open(page, "queue?domain=lost.test");
  await isBounded("the beginning");

  // All that fit, though a hundred are there: the number is the server's, before anything is done.
  await page.getByRole("checkbox", { name: /^Select all/ }).check();
  await page.getByLabel("also those not shown yet").check();
  await page.getByText("All that fit are selected").waitFor();
  await page.getByRole("region", { name: "Selection" }).getByRole("button", { name: "Hold…" }).click();
  await page.getByRole("heading", { name: /^Hold 10,00\d recipients\?/ }).waitFor();
  await page.getByLabel("Why they are held").fill("one by one");
  await page.getByRole("button", { name: /^Hold 10,00/ }).click();
  await page.getByText(/10,00\d recipients held/).or(page.getByText(/^Hold: done for/)).first().waitFor();
  await page.keyboard.press("Escape");
  await world.open(page, "about");

  // To its end, with all of it read in few requests.
  requests = 0;
  await world.open(page, "queue?domain=lost.test&state=held");
  await world.until("the end of the list", async () => {
    await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
    await isBounded("on the way");
    return (await page.getByRole("button", { name: /Show more|Loading/ }).count()) === 0;
  });
  assert(requests < REQUESTS_MAX, `${requests} requests for the whole list`);
  const last = page.locator("tbody tr[data-key]").last();
  await world.until("the last rows", async () => {
    await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
    return (await last.textContent())?.includes(`user${MESSAGES - 1}.`);
  });
  const rows = Number(await page.locator("table").getAttribute("aria-rowcount"));
  assert(rows > MESSAGES * RECIPIENTS / 2, `a screen reader is told how many there are: ${rows}`);

  // A range from the end upwards by keys, then by Shift and a click to the far beginning.
  await last.getByRole("checkbox").check();
  await page.getByText("1 recipient selected").waitFor();
  await page.keyboard.press("k");
  await page.keyboard.press("k");
  await page.keyboard.press("Shift+X");
  await page.getByText("3 recipients selected").waitFor();
  assert(await page.evaluate(() => document.activeElement?.closest("tr") !== null && document.activeElement.getBoundingClientRect().bottom <= innerHeight), "the row with the focus is in view");
  await page.evaluate(() => scrollTo(0, 0));
  const first = page.locator('tbody[data-from="0"] tr[data-key]').first();
  await first.getByRole("checkbox").click({ modifiers: ["Shift"] });
  await page.getByText(new RegExp(`${(rows - 1).toLocaleString("en")} recipients selected`)).waitFor();
  await isBounded("with all selected");
  await page.getByRole("region", { name: "Selection" }).getByRole("button", { name: "Clear" }).click();

  // Narrowed to one, and wide again.
  await page.getByLabel("Recipient", { exact: true }).fill("user7.77@lost.test");
  await page.keyboard.press("Enter");
  await world.until("the one row", async () => (await page.locator("tbody tr[data-key]").count()) === 1);
  await page.getByRole("button", { name: "Clear filters" }).click();
  await page.locator("tbody tr[data-key]").nth(20).waitFor();
  await isBounded("without a filter");
});
