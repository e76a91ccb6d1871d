// Does the file take more room than it needs, and is it sound? It is compacted and checked, and the page says what came of it.
import { assert, journey } from "../harness.mjs";

await journey(async (world) => {
  const page = await world.page();
  await world.open(page, "maintenance");
  await page.getByText("Takes of the disk").waitFor();
  await world.survey("maintenance", "maintenance");
  await page.getByRole("button", { name: "Compact the file" }).click();
  await page.getByText(/Mail waited for \d+ ms/).waitFor();

  await page.getByRole("button", { name: "Check the file now" }).click();
  await page.getByText("Nothing is wrong with the file.").waitFor();
  const { items } = await world.rest("GET", "/jobs?kind=check");
  assert(items.length === 1 && items[0].state === "succeeded", `it was checked once: ${JSON.stringify(items)}`);

  // No journey can damage a file that is in use: only what the page makes of such an answer is seen here.
  await page.route("**/api/v1/jobs/*", async (route) => {
    const response = await route.fetch();
    const job = await response.json();
    const found = { state: "failed", problem: { detail: "the file is damaged" }, result: { findings: ["messages: row 7 is damaged", "blobs: 3 is missing"], count: 5 } };
    await route.fulfill({ response, json: job.state === "succeeded" ? { ...job, ...found } : job });
  });
  await page.getByRole("button", { name: "Check the file now" }).click();
  await page.getByText("5 findings, of which these are the first 2:").waitFor();
  const listed = await page.getByRole("list", { name: "Findings" }).getByRole("listitem").allTextContents();
  assert(listed.join() === "messages: row 7 is damaged,blobs: 3 is missing", `they are listed: ${listed}`);
});
