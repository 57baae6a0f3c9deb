// SPDX-License-Identifier: MIT
// peer.mjs: a provider that is not ours: aimock, which speaks both dialects, on a loopback port
// that the kernel chooses; and a note of every request as it came.
//
// aimock's own journal puts Anthropic's requests into OpenAI's words and leaves the keys out, so
// bytes and headers are noted beside it, from Node's own report of requests. aimock checks no
// request, and counts no tokens for Anthropic: what a test does not script there is zero.
import { subscribe } from "node:diagnostics_channel";
import { LLMock } from "@copilotkit/aimock";

export const CHUNK_CHARS = 7;

// Takes fixtures {ask, response, …aimock's other options}: `ask` is a part of the newest message.
export async function startPeer(fixtures) {
    const requests = [];
    const mock = new LLMock({ host: "127.0.0.1", port: 0, strict: true, chunkSize: CHUNK_CHARS });

    // The body is seen as aimock takes it: a listener of our own would take it from aimock.
    subscribe("http.server.request.start", ({ request }) => {
        const parts = [];
        const emit = request.emit;
        request.emit = function (name, ...values) {
            if (name === "data")
                parts.push(Buffer.from(values[0]));
            return emit.call(this, name, ...values);
        };
        requests.push({ path: request.url, headers: request.headers, parts });
    });
    for (const { ask, response, ...options } of fixtures)
        mock.addFixture({ match: { userMessage: ask }, response, ...options });
    await mock.start();
    return {
        url: mock.url,
        // The requests whose newest message holds `ask`, oldest first: {path, headers, raw, body,
        // journal}; journal is aimock's own entry, which has the same x-request-id.
        asked(ask) {
            const id = ({ headers }) => headers["x-request-id"];
            const journal = new Map(mock.getRequests().map((entry) => [id(entry), entry]));
            return requests
                .map((request) => {
                    const raw = Buffer.concat(request.parts).toString("utf8");
                    return { path: request.path, headers: request.headers, raw,
                             body: JSON.parse(raw), journal: journal.get(id(request)) };
                })
                .filter(({ body }) => JSON.stringify(body.messages.at(-1)).includes(ask));
        },
    };
}
