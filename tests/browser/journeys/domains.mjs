// Which domains is mail taken for? One is made, set, asked for its DNS records, and deleted when it is empty.
import { assert, journey } from "../harness.mjs";

await journey(async (world) => {
  const page = await world.page();
  await world.open(page, "domains");
  await page.getByRole("button", { name: "New domain" }).click();
  const dialog = page.getByRole("dialog");
  await world.allowing([422], async () => {
    await dialog.getByLabel(/^Domain/).fill("not a domain");
    await dialog.getByRole("button", { name: "Create" }).click();
    await dialog.locator("[aria-invalid=true]").waitFor();
  });
  await dialog.getByLabel(/^Domain/).fill("New.Example.test");
  await dialog.getByRole("button", { name: "Create" }).click();
  await page.getByRole("heading", { name: "new.example.test" }).waitFor();

  // What it needs in the DNS stands there to be copied.
  await page.getByText("new.example.test. 3600 IN MX 10 mail.example.test.").waitFor();
  await page.getByText('new.example.test. 3600 IN TXT "v=spf1 mx -all"').waitFor();
  await page.getByText("reverse DNS (PTR)").waitFor();

  // A wrong value is told at its field, a right one is kept.
  await world.allowing([422], async () => {
    await page.getByLabel("Other names of the domain").fill("other.test\nno good");
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator("textarea[aria-invalid=true]").waitFor();
  });
  await page.getByLabel("Other names of the domain").fill("other.test");
  await page.getByLabel("Accounts at most").fill("5");
  await page.getByLabel("Quota of an account", { exact: true }).fill("2.5");
  await page.getByLabel("TLS policy for those who send to it").selectOption("testing");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved new.example.test.").waitFor();
  await page.getByText("mta-sts.new.example.test. 3600 IN CNAME mail.example.test.", { exact: true }).waitFor();
  const kept = await world.rest("GET", "/domains/new.example.test");
  assert(kept.max_accounts === 5 && kept.default_quota_bytes === 2.5e9 && kept.mta_sts_mode === "testing" && kept.aliases[0] === "other.test", JSON.stringify(kept));
  await page.getByText("other.test. 3600 IN MX 10 mail.example.test.", { exact: true }).waitFor();
  await page.getByRole("heading", { name: "How its mail is signed" }).waitFor();
  await page.getByText("v=DMARC1").first().waitFor();
  await world.survey("domain", "domains/new.example.test");

  // Somebody else was quicker: nothing of theirs is lost.
  await world.rest("PATCH", "/domains/new.example.test", { max_accounts: 7 });
  await world.allowing([412], async () => {
    await page.getByLabel("Accounts at most").fill("9");
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator(".error-box").getByText("Somebody else has changed it").waitFor();
  });
  await page.getByRole("button", { name: "Show what is there now" }).click();
  await world.until("what the other has set", async () => (await page.getByLabel("Accounts at most").inputValue()) === "7");
  await page.getByLabel("Accounts at most").fill("9");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved new.example.test.").waitFor();

  // One with accounts can't be deleted, and the page says why.
  await world.open(page, "domains/example.test");
  await page.getByRole("link", { name: "5 accounts" }).first().waitFor();
  await page.getByRole("button", { name: "Delete…" }).click();
  await dialog.getByText("deletes only an empty domain").waitFor();
  assert(await dialog.getByRole("button", { name: "Delete the domain" }).isDisabled(), "it can't be pressed");
  await page.keyboard.press("Escape");
  await world.open(page, "domains/new.example.test");
  await page.getByRole("button", { name: "Delete…" }).click();
  await dialog.getByText("1 domain with its settings and its 1 other name").waitFor();
  await dialog.getByRole("button", { name: "Delete the domain" }).click();
  await page.waitForURL(/#\/domains$/);
  await page.getByText("Deleted new.example.test.").waitFor();

  await page.getByLabel("Find a domain").fill("nothing-like-this");
  await page.getByText("No domain has that in its name").waitFor();
  await world.survey("domains", "domains");
  await world.survey("domain-new", "domains", { act: async (view) => {
    await view.getByRole("button", { name: "New domain" }).click();
    await view.getByRole("dialog").waitFor();
  } });
});
