// The pages about the server itself: the interface to read and to try, long work, the support bundle.
import { readFile } from "node:fs/promises";
import { assert, journey } from "../harness.mjs";

await journey(async (world) => {
  const page = await world.page();
  await world.open(page, "api");
  const document = await world.rest("GET", "/openapi.json");
  const all = Object.values(document.paths).flatMap((item) => Object.values(item)).length;
  assert((await page.locator(".operations li").count()) === all, "every operation is listed");
  await page.getByLabel("Find an operation").fill("list accounts");
  await page.getByRole("link", { name: /\/accounts/ }).first().click();
  await page.getByRole("heading", { name: "list_accounts" }).waitFor();
  await page.getByLabel("limit", { exact: true }).fill("1");
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByRole("region", { name: "Answer" }).getByText("@example.test").first().waitFor();
  await world.allowing([400, 422], async () => {
    await page.getByLabel("limit", { exact: true }).fill("many");
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByText(/^4\d\d /).first().waitFor();
  });
  await page.getByRole("link", { name: "AccountPage" }).click();
  await page.getByRole("heading", { name: "AccountPage" }).waitFor();
  await page.getByRole("link", { name: "Account", exact: true }).click();
  await page.getByText("quota_bytes").first().waitFor();
  await world.survey("api", "api");
  await world.survey("api-operation", "api/operation/put_account");
  await world.survey("api-try", "api/operation/list_accounts");

  await world.open(page, "jobs");
  const job = await world.rest("POST", "/queue/actions", { action: "hold", selector: { domain: "later.test" }, reason: "a job to look at" });
  await page.getByRole("link", { name: "queue action" }).first().click();
  await page.waitForURL(new RegExp(job.id));
  await page.locator(".facts").getByText("succeeded").waitFor();
  await world.survey("jobs", "jobs");
  await world.survey("job", `jobs/${job.id}`);

  await world.open(page, "about");
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download the support bundle" }).click()]);
  const bundle = JSON.parse(await readFile(await file.path(), "utf8"));
  assert(bundle.version.version && bundle.settings.length > 10 && bundle.overview.verdict, `the bundle: ${JSON.stringify(bundle).slice(0, 300)}`);
  await world.survey("about", "about");
});
