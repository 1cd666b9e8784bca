// What both SDKs do once they are connected, and what came of it: one JSON object on stdout.
//
// `session` wraps a client: list(), call(name, args, {onprogress, signal}), read(uri),
// prompt(name, args) and close(); `found` says what was agreed.

const text = (result) => result.content.map((block) => block.text ?? "").join("");

// Call what never ends by itself, cancel it at its first sign of life, and wait for its end.
async function cancel(session, name) {
  const aborting = new AbortController();
  const options = { signal: aborting.signal, onprogress: () => aborting.abort("enough") };
  let answered = "answered";
  try {
    await session.call("go_on", { name }, options);
  } catch (error) {
    answered = aborting.signal.aborted ? "cancelled" : `failed: ${error}`;
  }
  const { ends } = (await session.call("what_ended", { name })).structuredContent.data;
  return { answered, ends };
}

export async function play(session, found, name) {
  found.tools = (await session.list()).map((tool) => tool.name);
  found.progress = [];
  const onprogress = ({ progress, total }) => found.progress.push([progress, total]);
  found.result = text(await session.call("count_up", { steps: 3 }, { onprogress }));
  found.cancelled = await cancel(session, name);
  found.resource = (await session.read("test://greeting")).contents[0].text;
  found.prompt = (await session.prompt("greet", { name: "Ann" })).messages[0].content.text;
  await session.close();
  console.log(JSON.stringify(found));
}
