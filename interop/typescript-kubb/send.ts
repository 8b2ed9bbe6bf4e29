// What kubb's client calls to send a request. Its own fetch takes a refusal for a token.
import { tokenErrorSchema } from "./client/schemas.js";
import type { TokenError } from "./client/types.js";

export type RequestConfig = { method?: string; url?: string; params?: object; baseUrl?: string; clientSecret?: string };
export type ResponseErrorConfig<E> = E;
export type Client = typeof send;

/** An answer without a token. The error has no fields if the body was not one. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly error: TokenError,
  ) {
    super(`no token: status ${status}, ${error.message ?? error.error ?? "no JSON"}`);
  }
}

export default async function send<T, _Error = unknown, _Body = unknown>(config: RequestConfig): Promise<{ data: T }> {
  const login = Buffer.from(`${process.env.DOMO_CLIENT_ID}:${config.clientSecret}`).toString("base64");
  const response = await fetch(`${config.baseUrl}${config.url}?${new URLSearchParams({ ...config.params })}`, {
    headers: { Accept: "application/json", Authorization: `Basic ${login}` },
    redirect: "error", // never follow one with the credentials
    signal: AbortSignal.timeout(30_000),
  });
  const data = await response.json().catch(() => ({})); // an empty body or HTML
  if (!response.ok) throw new Refused(response.status, tokenErrorSchema.catch({}).parse(data));
  return { data };
}
