// The official TypeScript SDK, version 1 (@modelcontextprotocol/sdk):
//     node sdk_v1.mjs NAME URL          streamable HTTP, or HTTP+SSE where it ends in /sse
//     node sdk_v1.mjs NAME COMMAND...   stdio; COMMAND has no colon in its first word

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { play } from "./steps.mjs";

const [name, target, ...args] = process.argv.slice(2);
const http = target.startsWith("http:");
const Web = target.endsWith("/sse") ? SSEClientTransport : StreamableHTTPClientTransport;
const transport = http
  ? new Web(new URL(target))
  : new StdioClientTransport({ command: target, args, env: process.env });
const client = new Client({ name, version: "1" });
let protocol = null;
const setVersion = transport.setProtocolVersion?.bind(transport);
transport.setProtocolVersion = (version) => {
  protocol = version;
  setVersion?.(version);
};
await client.connect(transport);
const session = {
  list: async () => (await client.listTools()).tools,
  call: (tool, args, options) => client.callTool({ name: tool, arguments: args }, undefined, options),
  read: (uri) => client.readResource({ uri }),
  prompt: (prompt, args) => client.getPrompt({ name: prompt, arguments: args }),
  close: async () => {
    await transport.terminateSession?.();
    await client.close();
  },
};
await play(session, { protocol, server: client.getServerVersion() }, name);
