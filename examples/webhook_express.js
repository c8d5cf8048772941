// Receives webhooks with Express: verifies that they are ours and new, and prints each event once.
//
//     npm install express standardwebhooks   # in a folder of its own, with Node 18 or later
//     WEBHOOK_SECRET=whsec_... node webhook_express.js 9999
//
// Put TLS in front of it: outside of development webhooks go to https alone.

const express = require("express");
const { Webhook } = require("standardwebhooks");

const REMEMBERED = 10_000; // ids of events; a program that must not forget keeps them in its database

const webhook = new Webhook(process.env.WEBHOOK_SECRET);
const seen = new Set();
const app = express();

// The signature is that of the bytes as they came: no JSON parser stands before it.
app.post("/", express.raw({ type: () => true, limit: "1mb" }), (request, response) => {
  const body = Buffer.isBuffer(request.body) ? request.body.toString() : "";
  let event;
  try {
    event = webhook.verify(body, request.headers);
  } catch (error) {
    console.error(`refused: ${error.message}`);
    response.sendStatus(401);
    return;
  }
  response.sendStatus(204);
  setImmediate(take, event); // what is slow comes after the answer
});

// The same event may come twice: its id says so.
function take(event) {
  if (!seen.has(event.id)) console.log(JSON.stringify(event));
  seen.add(event.id);
  if (seen.size > REMEMBERED) seen.delete(seen.values().next().value);
}

app.listen(Number(process.argv[2]), "127.0.0.1");
