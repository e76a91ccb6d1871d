// A spree of one sender, a destination that moves, a whole server that is to be silent for a while: rules that hold and
// suspend, and the pause of everything, each with its reason and its end.
import { assert, journey } from "../harness.mjs";

await journey(async (world) => {
  const page = await world.page();
  await world.open(page, "queue");
  const dialog = page.getByRole("dialog");
  const rules = page.getByRole("region", { name: "Rules" });

  // All at once: nothing goes out, and every view of the queue says so.
  await page.getByRole("button", { name: "Pause all…" }).click();
  const pause = dialog.getByRole("button", { name: "Pause", exact: true });
  assert(await pause.isDisabled(), "a pause has its reason");
  await dialog.getByLabel("Why").fill("the line is being mended");
  await pause.click();
  await page.getByText("Nothing goes out.").waitFor();
  await page.getByText("the line is being mended").waitFor();
  await page.reload();
  await world.settled(page);
  await page.getByText("Nothing goes out.").waitFor();
  await world.survey("queue-paused", "queue");
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByRole("button", { name: "Pause all…" }).waitFor();

  // One sender's mail is held as it comes, with the rule's name.
  await rules.getByRole("button", { name: "Add a rule…" }).click();
  const add = dialog.getByRole("button", { name: "Add", exact: true });
  assert(await add.isDisabled(), "a rule says what it is for");
  await dialog.getByLabel("Name").fill("spree");
  await dialog.getByLabel("Which mail").selectOption("sender");
  await dialog.getByLabel("Address, domain or server").fill("alice@example.test");
  await dialog.getByLabel("Why").fill("asked them");
  await add.click();
  await rules.getByText("spree").waitFor();
  await rules.getByText(/holds mail from alice@example\.test: asked them/).waitFor();
  await world.send("alice@example.test", "held@later.test", "one of many");
  await page.getByRole("link", { name: /^Held/ }).click();
  await page.getByText("held@later.test").first().waitFor();
  await page.getByText("asked them (rule spree)").first().waitFor();

  // Another for the same mail is refused, and says which is there.
  await rules.getByRole("button", { name: "Add a rule…" }).click();
  await dialog.getByLabel("Name").fill("twice");
  await dialog.getByLabel("Which mail").selectOption("sender");
  await dialog.getByLabel("Address, domain or server").fill("alice@example.test");
  await dialog.getByLabel("Why").fill("again");
  await world.allowing([409], async () => {
    await add.click();
    await dialog.getByText(/The rule spree is for the same mail/i).waitFor();
  });
  await page.keyboard.press("Escape");

  // A destination waits, until a time.
  await rules.getByRole("button", { name: "Add a rule…" }).click();
  await dialog.getByLabel("Name").fill("moving");
  await dialog.getByLabel("Address, domain or server").fill("moving.test");
  await dialog.getByLabel("What becomes of it").selectOption("suspend");
  await dialog.getByLabel("Why").fill("they move");
  await dialog.getByLabel(/^Until/).fill("2099-01-31T00:00");
  await add.click();
  await rules.getByText(/suspends mail to moving\.test: they move/).waitFor();
  const seen = await world.rest("GET", "/queue/rules/moving");
  assert(seen.action === "suspend" && seen.expires_at?.startsWith("2099-01-3"), `it ends: ${JSON.stringify(seen)}`);
  await world.survey("queue-rules", "queue");
  await world.survey("queue-rule-new", "queue", { act: async (view) => {
    await view.getByRole("button", { name: "Add a rule…" }).click();
    await view.getByLabel("Which mail").waitFor();
  } });

  // Without its rule what is held waits for somebody.
  await rules.getByRole("listitem").filter({ hasText: "spree" }).getByRole("button", { name: "Delete…" }).click();
  await dialog.getByText("What it holds stays held").waitFor();
  await dialog.getByRole("button", { name: "Delete", exact: true }).click();
  await world.until("the rule is gone", async () => (await rules.getByText("spree").count()) === 0);
  await page.getByText("held@later.test").first().waitFor();
});
