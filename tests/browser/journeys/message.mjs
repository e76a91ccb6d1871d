// What happened to it? One queued message: tried again, sent elsewhere, its dialogue, header and content read.
import { assert, journey } from "../harness.mjs";

await journey(async (world) => {
  const id = await world.send("alice@example.test", ["mia@later.test", "noah@later.test", "bob@example.test"], "A message to follow");
  await world.until("the first attempts", async () => {
    const { recipients } = await world.rest("GET", `/queue/messages/${id}`);
    return recipients.every((one) => one.attempts > 0 && one.state === "waiting");
  });
  const page = await world.page();
  await world.open(page, `message/${id}`);
  await page.getByText("2 recipients in the queue").waitFor();
  await world.until("it says what the other server said", async () => (await page.getByText(/4\.7\.1/).count()) > 0);

  await page.getByText("What was said").first().click();
  await page.locator(".dialogue").getByText("mia@later.test").first().waitFor();
  await page.getByRole("button", { name: "Show the header" }).click();
  await page.locator(".headers").getByText("A message to follow").waitFor();
  await page.getByRole("button", { name: "Show all as it is sent" }).click();
  await page.locator(".raw").getByText("Hello.").waitFor();

  const mia = page.locator(".recipients > li", { hasText: "mia@later.test" });
  await mia.getByRole("button", { name: "Redirect…" }).click();
  await page.getByRole("dialog").getByLabel("Address").fill("mia@takes.test");
  await page.getByRole("button", { name: "Redirect", exact: true }).click();
  await page.getByText("1 recipient in the queue").waitFor();

  // The one that is left goes out by another way, whatever the routes say.
  await world.rest("PUT", "/routes/detour", { match: { domain: "unused.test" }, kind: "relay", host: "[127.0.0.1]", port: 1 });
  const noah = page.locator(".recipients > li", { hasText: "noah@later.test" });
  await noah.getByRole("button", { name: "Redirect…" }).click();
  await world.allowing([422], async () => {
    await page.getByRole("dialog").getByLabel("By which way").fill("no such way");
    await page.getByRole("button", { name: "Redirect", exact: true }).click();
    await page.getByRole("dialog").locator("[aria-invalid=true]").waitFor();
  });
  await page.getByRole("dialog").getByLabel("By which way").fill("detour");
  await page.getByRole("button", { name: "Redirect", exact: true }).click();
  await noah.getByText("chosen by hand").waitFor();
  await noah.locator(".badge", { hasText: "waiting" }).waitFor();

  await page.getByRole("button", { name: "Hold…" }).click();
  await page.getByLabel("Why they are held").fill("until noon");
  await page.getByRole("button", { name: "Hold 1" }).click();
  await page.getByText("until noon").first().waitFor();
  await world.survey("message", `message/${id}`, { act: (view) => view.locator(".timeline").waitFor() });
  await page.getByRole("button", { name: "Remove…" }).click();
  await world.allowing([404], async () => {
    await page.getByRole("button", { name: "Remove 1" }).click();
    await page.getByText("It is not in the queue any more").waitFor();
    await page.context().close();
  });
});
