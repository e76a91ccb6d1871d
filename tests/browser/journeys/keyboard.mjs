// The whole of an operator's morning without a mouse: log in, skip to the content, go through the menu, hold a message and
// release it, follow one in the trace, log out. What has the focus is always seen.
import { assert, journey } from "../harness.mjs";

/** Presses Tab until what has the focus is called so. */
async function tabTo(page, name) {
  for (let presses = 0; presses < 80; presses += 1) {
    await page.keyboard.press("Tab");
    const seen = await page.evaluate(() => {
      const { activeElement: here } = document;
      const style = here && getComputedStyle(here);
      const text = here?.getAttribute("aria-label") ?? here?.labels?.[0]?.textContent ?? here?.textContent ?? "";
      const box = here?.getBoundingClientRect();
      const isSeen = here === document.body || (box.width > 0 && box.height > 0 && (style.outlineStyle !== "none" || here.matches("main, h1")));
      return { text: text.trim(), isSeen, tag: here?.outerHTML.slice(0, 120) };
    });
    assert(seen.isSeen, `the focus is seen on ${seen.tag}`);
    if (name.test(seen.text)) return;
  }
  throw new Error(`Tab never reaches ${name}`);
}

await journey(async (world) => {
  await world.send("alice@example.test", "kay@later.test", "by keys alone");
  const page = await world.page({ as: null });
  await world.open(page, "overview");
  const heading = (name) => page.getByRole("heading", { level: 1, name }).waitFor();
  await tabTo(page, /^Address|^E-?mail/i);
  await page.keyboard.type(world.admin);
  await tabTo(page, /^Password/i);
  await page.keyboard.type(world.password);
  await page.keyboard.press("Enter");
  await heading("Overview");

  await page.reload();
  await heading("Overview");
  await page.keyboard.press("Tab");
  assert((await page.evaluate(() => document.activeElement?.textContent)) === "Skip to the content", "the first stop skips the menu");
  await page.keyboard.press("Enter");
  assert((await page.evaluate(() => document.activeElement?.id)) === "main", "it leads to the content");
  await page.reload();
  await heading("Overview");
  await tabTo(page, /^Queue$/);
  await page.keyboard.press("Enter");
  await heading("Queue");
  assert((await page.evaluate(() => document.activeElement?.tagName)) === "H1", "a new page has the focus on its heading");

  await page.locator("tbody tr").first().waitFor();
  await world.until("no attempt under way", async () => !(await page.locator("tbody .badge", { hasText: /sending|due/ }).count()));
  await page.keyboard.press("j");
  await page.keyboard.press("h");
  await page.getByLabel("Why they are held").waitFor();
  await page.keyboard.type("for a while");
  await tabTo(page, /^Hold 1$/);
  await page.keyboard.press("Enter");
  await page.getByText("1 recipient held").waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  await page.keyboard.press("u");
  await page.getByRole("heading", { name: /^Release/ }).waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Enter");
  await heading(/^Message/);
  await page.goBack();
  await heading("Queue");
  await tabTo(page, /^Trace$/);
  await page.keyboard.press("Enter");
  await heading("Trace");
  // The heading is there before the list, and its keys, are.
  await world.until("the search field has the focus", async () => {
    await page.keyboard.press("/");
    return page.evaluate(() => document.activeElement?.tagName === "INPUT");
  });
  await page.keyboard.type("kay@later.test");
  await page.keyboard.press("Enter");
  await page.waitForURL(/q=kay/);
  await page.locator("tbody tr").first().waitFor();
  await page.evaluate(() => document.activeElement?.blur());
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.locator(".verdict").waitFor();
  await tabTo(page, /^Log out$/);
  await page.keyboard.press("Enter");
  await page.getByLabel(/^Password/i).waitFor();
});
