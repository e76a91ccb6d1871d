// Where is my mail? One box; the answer is a sentence, what happened, what was said; and it is sent once more.
import { assert, journey } from "../harness.mjs";

await journey(async (world) => {
  const id = await world.send("alice@example.test", ["tess@takes.test", "bob@example.test"], "Where is it?");
  await world.until("the delivery", async () => {
    const story = await world.rest("GET", `/trace/${id}`);
    return story.recipients.every((one) => one.outcome === "handed_over" || one.outcome === "in_mailbox");
  });
  await world.smtp("SMTP", ["EHLO stranger.test", "MAIL FROM:<spam@stranger.test>", "RCPT TO:<nobody@example.test>", "QUIT"]);

  const page = await world.page();
  await world.open(page, "trace");
  await page.keyboard.press("/");
  // What is being typed stays while the list follows what happens.
  await page.keyboard.type("tess");
  const meanwhile = await world.send("alice@example.test", "bob@example.test", "meanwhile");
  await page.locator(`tbody a[href$="${meanwhile}"]`).waitFor();
  await page.keyboard.type("@takes.test");
  await page.keyboard.press("Enter");
  await page.waitForURL(/q=tess/);
  await page.locator("tbody tr").first().waitFor();
  await page.locator("tbody tr a").first().click();
  await page.waitForURL(new RegExp(`trace/${id}`));
  await page.locator(".verdict").waitFor();
  await world.until("each recipient has its own answer", async () => (await page.locator(".recipients > li").count()) === 2);
  await page.getByText("What was said").first().click();
  await page.locator(".dialogue").getByText("tess@takes.test").first().waitFor();

  await page.getByRole("button", { name: "Redeliver…" }).click();
  await page.getByRole("dialog").getByLabel(/^To/).fill("bob@example.test");
  await page.getByRole("button", { name: "See what would happen" }).click();
  await page.getByText("would be delivered").waitFor();
  await page.getByRole("button", { name: "Send to 1 recipient" }).click();
  await page.getByRole("link", { name: "Follow it" }).or(page.getByRole("dialog").getByText("delivered", { exact: true })).first().waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Close" }).last().click();
  await page.getByText("Sent once more").first().waitFor();

  await world.open(page, "trace?q=nobody@example.test");
  await page.locator(".badge", { hasText: "refused" }).first().waitFor();
  await world.open(page, "trace?q=never.seen@example.test");
  await page.getByText("Never seen here").waitFor();
  await world.survey("trace", "trace");
  await world.survey("trace-story", `trace/${id}`);
  await world.survey("trace-redeliver", `trace/${id}`, { act: async (view) => {
    await view.getByRole("button", { name: "Redeliver…" }).click();
    await view.getByRole("dialog").waitFor();
  } });
});
