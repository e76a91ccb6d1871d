// What is waiting, and why? Filters in the URL, a selection by range, a dry run, holding, releasing, bouncing, removing,
// flushing: by mouse and by keys; and the table follows what happens.
import { assert, journey } from "../harness.mjs";

await journey(async (world) => {
  const page = await world.page();
  await world.open(page, "queue");
  const rows = page.locator("tbody tr");
  const calm = () => world.until("no attempt under way", async () => !(await page.locator("tbody .badge", { hasText: /sending|due/ }).count()));
  await calm();
  const all = await rows.count();
  assert(all >= 5, `the queue has its rows: ${all}`);

  // The domains with the most are one click away.
  await page.getByRole("list", { name: "Where most is for" }).getByRole("link", { name: "lost.test" }).click();
  await page.waitForURL(/domain=lost\.test/);
  await world.until("those for it", async () => (await rows.count()) === 1);
  await page.getByRole("button", { name: "Clear filters" }).click();
  await world.until("all again", async () => (await rows.count()) === all);

  // A filter is in the URL and comes back with it.
  await page.getByLabel("Domain").fill("later");
  // What is being typed stays while the table follows what happens.
  const held = (await world.rest("GET", "/queue?domain=lost.test")).items[0].id;
  await world.rest("POST", `/queue/${held}/hold`, { reason: "for a moment" });
  await page.getByText("for a moment").waitFor();
  await world.rest("POST", `/queue/${held}/release`);
  await world.until("it waits again", async () => (await page.getByText("for a moment").count()) === 0);
  await page.keyboard.press("End");
  await page.keyboard.type(".test");
  await page.keyboard.press("Enter");
  await page.waitForURL(/domain=later\.test/);
  await world.until("the filtered rows", async () => (await rows.count()) > 0 && (await rows.count()) < all);
  await page.reload();
  await world.settled(page);
  const some = await rows.count();
  assert(some < all && (await page.getByLabel("Domain").inputValue()) === "later.test", "the filter is in the URL");

  // j, x, then Shift-x selects the range; h holds it with its reason.
  for (const key of ["j", "x", "j", "j", "Shift+X"]) await page.keyboard.press(key);
  await page.getByText("3 recipients selected").waitFor();
  await page.keyboard.press("h");
  await page.getByRole("heading", { name: "Hold 3 recipients?" }).waitFor();
  await page.getByLabel("Why they are held").fill("the day is over");
  await page.getByRole("button", { name: "Hold 3" }).click();
  await page.getByText("3 recipients held").waitFor();
  await page.getByRole("link", { name: /^Held/ }).click();
  await world.until("the held ones", async () => (await rows.count()) === 3);
  await world.until("each says why it is held", async () => (await page.getByText("the day is over").count()) === 3);

  // Shift-click selects a range too; the bulk bar releases what is selected.
  await rows.nth(0).getByRole("checkbox").click();
  await rows.nth(2).getByRole("checkbox").click({ modifiers: ["Shift"] });
  await page.getByRole("region", { name: "Selection" }).getByRole("button", { name: "Release…" }).click();
  await page.getByRole("button", { name: "Release 3" }).click();
  await page.getByText("3 recipients released").waitFor();
  await page.getByText("Nothing fits").waitFor();
  await page.getByRole("button", { name: "Clear filters" }).click();
  await world.until("all rows again", async () => (await rows.count()) === all);

  // One bounced, one removed: each asks, and says what is lost.
  await calm();
  await page.keyboard.press("j");
  await page.keyboard.press("b");
  await page.getByText("1 recipient will not get the message").waitFor();
  await page.getByLabel(/The reason/).fill("the address is gone");
  await page.getByRole("button", { name: "Bounce 1" }).click();
  await page.getByText("1 recipient bounced").waitFor();
  await world.until("one row less", async () => (await rows.count()) === all - 1);
  await page.keyboard.press("j");
  await page.keyboard.press("Delete");
  await page.getByRole("button", { name: "Remove 1" }).click();
  await page.getByText("1 recipient removed").waitFor();
  await world.until("one more row less", async () => (await rows.count()) === all - 2);

  // Out by another way, as when a provider blocks this server.
  await world.rest("PUT", "/routes/detour", { match: { domain: "unused.test" }, kind: "relay", host: "[127.0.0.1]", port: 1 });
  await calm();
  await rows.nth(0).getByRole("checkbox").click();
  await page.getByRole("region", { name: "Selection" }).getByRole("button", { name: "Reroute…" }).click();
  await page.getByLabel("By which way").fill("detour");
  await page.getByRole("button", { name: "Reroute 1" }).click();
  await page.getByText("1 recipient sent by another way").waitFor();
  await calm();

  // The flush names its number before it does anything.
  await page.getByRole("button", { name: /^Flush all/ }).click();
  const flush = page.getByRole("dialog").getByRole("button", { name: /^Flush \d+$/ });
  await flush.waitFor();
  await flush.click();
  await page.getByText(/recipients? due now/).waitFor();

  // What comes in is there without a reload.
  await world.send("alice@example.test", "new@later.test", "while you look");
  await page.getByText("new@later.test").first().waitFor();

  await page.keyboard.press("?");
  await page.getByRole("heading", { name: "Keys" }).waitFor();
  await page.keyboard.press("Escape");
  await world.survey("queue", "queue");
  await world.survey("queue-selected", "queue", { act: async (view) => {
    await view.getByRole("checkbox", { name: /^Select new|^Select / }).nth(1).check();
  } });
  await world.survey("queue-empty", "queue?domain=nothing.test");
  await world.survey("queue-bounce", "queue", { act: async (view) => {
    await view.keyboard.press("j");
    await view.keyboard.press("b");
    await view.getByLabel(/The reason/).waitFor();
  } });
});
