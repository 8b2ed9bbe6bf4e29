/** What a call needs besides its parameters. */
export type Options = RequestInit & { baseUrl?: string; clientSecret?: string };

/** Sends a request. orval's own code fails at an answer that is not JSON, and its status is lost. */
export async function send<T>(path: string, { baseUrl = "", clientSecret = "", ...init }: Options): Promise<T> {
  const login = Buffer.from(`${process.env.DOMO_CLIENT_ID}:${clientSecret}`).toString("base64");
  const response = await fetch(`${baseUrl}${path}`, {
    ...init,
    headers: { Accept: "application/json", Authorization: `Basic ${login}` },
    redirect: "error", // never follow one with the credentials
    signal: AbortSignal.timeout(30_000),
  });
  const data = await response.json().catch(() => ({})); // an empty body or HTML
  if (response.ok && !data?.access_token) throw new Error(`no token: status ${response.status}`);
  return { data: data ?? {}, status: response.status, headers: response.headers } as T;
}
