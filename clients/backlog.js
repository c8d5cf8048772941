// Publishes all lines of a file at once with MQTT.js, and ends well once all of them are answered:
//   node backlog.js URL VERSION USER SECRET TOPIC QOS FILE
// VERSION is 4 or 5 (the protocol level).
import fs from "node:fs";
import mqtt from "mqtt";

const [url, version, username, password, topic, qos, file] = process.argv.slice(2);
const client = await mqtt.connectAsync(url, {
  username,
  password,
  protocolVersion: Number(version),
  clientId: "js",
  reconnectPeriod: 0,
});
const lines = fs.readFileSync(file, "utf8").trim().split("\n");
await Promise.all(lines.map((line) => client.publishAsync(topic, line, { qos: Number(qos) })));
await client.endAsync();
