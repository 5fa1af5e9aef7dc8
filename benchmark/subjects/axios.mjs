/** axios, with an instance for each request: how the reference's HTTP client uses it. `AXIOS` names the package. */

import { pathToFileURL } from "node:url";

import { openByHand } from "./wire.mjs";

const { default: axios } = await import(pathToFileURL(process.env.AXIOS));

export function open({ url, apiKey }) {
  return openByHand(async (path, params, data) => {
    const client = axios.create({ baseURL: url, headers: { authorization: `Bearer ${apiKey}` } });
    return (await client.post(path, data, { params })).data;
  });
}
