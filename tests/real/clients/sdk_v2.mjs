// The official TypeScript SDK, version 2 (@modelcontextprotocol/client):
//     node sdk_v2.mjs NAME MODE URL          streamable HTTP, or HTTP+SSE where it ends in /sse
//     node sdk_v2.mjs NAME MODE COMMAND...   stdio; COMMAND has no colon in its first word
// MODE: legacy, auto or a revision

import { Client, SSEClientTransport, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { play } from "./steps.mjs";

const [name, asked, target, ...args] = process.argv.slice(2);
const mode = ["legacy", "auto"].includes(asked) ? asked : { pin: asked };
const http = target.startsWith("http:");
const Web = target.endsWith("/sse") ? SSEClientTransport : StreamableHTTPClientTransport;
const transport = http
  ? new Web(new URL(target))
  : new StdioClientTransport({ command: target, args, env: process.env });
const client = new Client({ name, version: "1" }, { versionNegotiation: { mode } });
await client.connect(transport);
const session = {
  list: async () => (await client.listTools()).tools,
  call: (tool, args, options) => client.callTool({ name: tool, arguments: args }, options),
  read: (uri) => client.readResource({ uri }),
  prompt: (prompt, args) => client.getPrompt({ name: prompt, arguments: args }),
  close: async () => {
    if (transport.sessionId) await transport.terminateSession();
    await client.close();
  },
};
const protocol = client.getNegotiatedProtocolVersion();
await play(session, { protocol, server: client.getServerVersion() ?? null }, name);
