// Publishes a message for each QoS with MQTT.js, and ends well once all of them are answered:
//   node publish.js URL VERSION USER SECRET TOPIC AUTHORITY PAYLOAD PAYLOAD PAYLOAD
// VERSION is 3, 4 or 5 (the protocol level). The payloads have QoS 0, 1 and 2.
import fs from "node:fs";
import mqtt from "mqtt";

const [url, version, username, password, topic, authority, ...payloads] = process.argv.slice(2);
const client = await mqtt.connectAsync(url, {
  username,
  password,
  protocolVersion: Number(version),
  protocolId: version === "3" ? "MQIsdp" : "MQTT",
  clientId: "js",
  reconnectPeriod: 0,
  ca: url.startsWith("mqtts:") ? fs.readFileSync(authority) : undefined,
});
for (const [qos, payload] of payloads.entries()) {
  await client.publishAsync(topic, payload, { qos });
}
await client.endAsync();
