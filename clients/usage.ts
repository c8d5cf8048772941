// How the TypeScript client is used: signs in, makes an asset, finds it, and is refused once.
//
//     node usage.ts http://127.0.0.1:8000 org_... boss@example.com PASSWORD

import createClient from "openapi-fetch";
import type { components, paths } from "./typescript/ops-companion.ts";

declare const process: { argv: string[] };

type AssetName = Pick<components["schemas"]["AssetItem"], "id" | "name">;

async function main(url: string, organizationId: string, email: string, password: string) {
  const client = createClient<paths>({ baseUrl: url });
  const signedIn = await client.POST("/v1/auth/token", {
    body: { email, password, organization_id: organizationId },
  });
  if (signedIn.error) throw new Error(signedIn.error.code);
  const headers = { Authorization: `Bearer ${signedIn.data.access_token}` };

  const made = await client.POST("/v1/assets", {
    headers,
    body: { name: "Crane 7", tags: ["crane"] },
  });
  if (made.error) throw new Error(made.error.detail);

  const page = await client.GET("/v1/assets", { headers, params: { query: { limit: 1 } } });
  if (page.error) throw new Error(page.error.detail);
  if (page.data.data[0]?.id !== made.data.id) throw new Error("it is not the newest");

  const query = { fields: "id,name", limit: 1 };
  const named = await client.GET("/v1/assets", { headers, params: { query } });
  if (named.error) throw new Error(named.error.detail);
  const names: AssetName[] = named.data.data;
  if (names[0]?.name !== "Crane 7" || Object.keys(names[0]).length !== 2) {
    throw new Error("it is not what was asked for");
  }

  const refused = await client.GET("/v1/assets/{id}", {
    headers,
    params: { path: { id: "ast_00000000000000000000000000" } },
  });
  if (!refused.error) throw new Error("it was found");
  console.log(made.data.id, refused.error.code);
}

const [url = "", organizationId = "", email = "", password = ""] = process.argv.slice(2);
await main(url, organizationId, email, password);
