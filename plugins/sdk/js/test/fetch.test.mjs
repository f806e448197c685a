import assert from "node:assert/strict";
import { test } from "node:test";

import { here, load } from "./fakes/web.mjs";

/** Runs an effect's text against a network that `answer` stands for. Nothing may be left open. */
async function ran(body, answer) {
  const { finish, run, out, world, reset } = await load(`export const out = []; export async function run() { ${body} }`);
  reset(answer);
  finish(run);
  assert.deepEqual([...world.open].map(({ constructor }) => constructor.name), []);
  return { out: here([...out]), requests: here([...world.requests]), now: world.now };
}

const failing = (url, answer, init = "{}") => ran(`await fetch(${JSON.stringify(url)}, ${init}).catch((error) => out.push(error.name + ": " + error.message));`, answer).then(({ out }) => out[0]);

test("a request goes out as it was asked for", async () => {
  const { requests } = await ran(`
    await fetch("HTTPS://A.example:8443/p/ä b?q=1#h", { method: "post", body: "hällo", headers: { "X-Key": "{{secret:k}}" } });
    await fetch(new URL("http://a.example?x"));
    await fetch("http://a.example/", { method: "PUT" });
    await fetch("http://a.example/", { method: "PURGE", body: new Uint8Array([104, 105]), headers: [["a", "1"], ["a", "2"]] });
    await fetch(new Request("http://a.example/f", { method: "PATCH", body: new URLSearchParams({ a: "1 2" }) }));`);
  assert.deepEqual(requests, [
    { method: "POST", url: "https://a.example:8443/p/%C3%A4%20b?q=1", headers: { "content-type": "text/plain;charset=UTF-8", "x-key": "{{secret:k}}", "content-length": "6" }, body: "hällo" },
    { method: "GET", url: "http://a.example/?x", headers: {}, body: "" },
    { method: "PUT", url: "http://a.example/", headers: { "content-length": "0" }, body: "" },
    { method: "PURGE", url: "http://a.example/", headers: { a: "1, 2", "content-length": "2" }, body: "hi" },
    { method: "PATCH", url: "http://a.example/f", headers: { "content-type": "application/x-www-form-urlencoded;charset=UTF-8", "content-length": "5" }, body: "a=1+2" },
  ]);
});

test("a body of any size is written in pieces that the host takes", async () => {
  const { requests } = await ran(`await fetch("http://a.example/", { method: "POST", body: "x".repeat(10_000) });`);
  assert.equal(requests[0].body.length, 10_000);
});

test("a response says what came", async () => {
  const answer = () => ({ status: 201, headers: { "content-type": "application/json", "set-cookie": ["a=1", "b=2"] }, pieces: ['{"a":', '"', "\u00e4", '"}'] });
  const { out } = await ran(
    `const response = await fetch("http://a.example/");
     out.push(response.status, response.ok, response.url, response.redirected, [...response.headers], response.headers.getSetCookie(), await response.json(), response.bodyUsed);
     await response.text().catch((error) => out.push(error.message));`,
    answer,
  );
  const headers = [["content-type", "application/json"], ["set-cookie", "a=1"], ["set-cookie", "b=2"]];
  assert.deepEqual(out, [201, true, "http://a.example/", false, headers, ["a=1", "b=2"], { a: "ä" }, true, "the body has been read already"]);
});

test("an error status is a response, and a character cut in two is whole again", async () => {
  const euro = new TextEncoder().encode("€");
  const { out } = await ran(`const response = await fetch("http://a.example/"); out.push(response.ok, response.status, await response.text());`, () => ({
    status: 500,
    pieces: [euro.slice(0, 1), euro.slice(1)],
  }));
  assert.deepEqual(out, [false, 500, "€"]);
});

test("a body can be read as it arrives", async () => {
  const answer = () => ({ pieces: ["one", "two"] });
  const { out } = await ran(
    `const decoder = new TextDecoder();
     for await (const piece of (await fetch("http://a.example/")).body) out.push(decoder.decode(piece));
     const reader = (await fetch("http://a.example/")).body.getReader(); out.push((await reader.read()).value.length); await reader.cancel(); out.push((await reader.read()).done);`,
    answer,
  );
  assert.deepEqual(out, ["one", "two", 3, true]);
});

test("a body that nobody reads is given back when the effect ends", async () => {
  await ran(`await fetch("http://a.example/"); const { body } = await fetch("http://a.example/"); for await (const piece of body) break;`, () => ({ pieces: ["a", "b"] }));
});

test("a body that breaks off is an error with the request in it", async () => {
  const { out } = await ran(`await (await fetch("http://a.example/x")).text().catch((error) => out.push(error.message));`, () => ({ pieces: ["a"], breaks: true }));
  assert.deepEqual(out, ["fetch failed: GET http://a.example/x: its body broke off: last-operation-failed"]);
});

test("why no response came is said in words", async () => {
  const denied = () => ({ error: { tag: "HTTP-request-denied" } });
  assert.match(await failing("http://a.example/x", denied), /^TypeError: fetch failed: GET http:\/\/a\.example\/x: the host does not allow it; .*egress/);
  assert.match(await failing("http://a.example/", () => ({ error: { tag: "internal-error", val: "no route" } })), /: no route$/);
  assert.match(await failing("http://a.example/", () => ({ error: { tag: "DNS-error", val: { rcode: "x", infoCode: 3 } } })), /: DNS-error \{"rcode":"x","infoCode":3\}$/);
});

test("what cannot be sent is said before anything is sent", async () => {
  for (const [url, init, message] of [
    ["/relative", "{}", /fetch needs an absolute http or https URL, not "\/relative"/],
    ["ftp://a.example/", "{}", /absolute http or https URL/],
    ["http://user:pw@a.example/", "{}", /no user or password in a URL/],
    ["http://a.example/", "{ body: 'x' }", /a GET has no body/],
    ["http://a.example/", "{ method: 'POST', body: { a: 1 } }", /JSON needs JSON.stringify/],
    ["http://a.example/", "{ headers: { 'a b': '1' } }", /"a b" is no name of a header/],
    ["http://a.example/", "{ headers: { a: 'secret\\n' + 'x: y' } }", /^TypeError: the value of the header a holds what no header can$/],
  ]) {
    assert.match(await failing(url, undefined, init), message);
  }
});

test("redirects are followed, without the credentials to another place", async () => {
  const answer = ({ url }) => ({ "http://a.example/p/1": { status: 302, headers: { location: "2?x" } }, "http://a.example/p/2?x": { status: 307, headers: { location: "//b.example/3" } } })[url] ?? { status: 200 };
  const { out, requests } = await ran(
    `const response = await fetch("http://a.example/p/1", { method: "POST", body: "b", headers: { authorization: "x", accept: "y" } });
     out.push(response.url, response.redirected, response.status);`,
    answer,
  );
  assert.deepEqual(out, ["http://b.example/3", true, 200]);
  assert.deepEqual(requests.map(({ method, url, headers, body }) => [method, url, headers.authorization, headers.accept, headers["content-type"], body]), [
    ["POST", "http://a.example/p/1", "x", "y", "text/plain;charset=UTF-8", "b"],
    ["GET", "http://a.example/p/2?x", "x", "y", undefined, ""],
    ["GET", "http://b.example/3", undefined, "y", undefined, ""],
  ]);
});

test("a redirect can be looked at, refused, or too many", async () => {
  const answer = () => ({ status: 308, headers: { location: "/again" } });
  const { out } = await ran(`const { status, headers } = await fetch("http://a.example/", { redirect: "manual" }); out.push(status, headers.get("Location"));`, answer);
  assert.deepEqual(out, [308, "/again"]);
  assert.match(await failing("http://a.example/", answer, "{ redirect: 'error' }"), /it redirects to \/again$/);
  assert.match(await failing("http://a.example/", answer), /more than 20 redirects$/);
});

test("requests run beside each other, and the time is that of the slowest", async () => {
  const answer = ({ url }) => ({ afterMs: Number(url.at(-1)) * 100 });
  const { out, now } = await ran(`const done = (n) => fetch("http://a.example/" + n).then(() => out.push(n)); await Promise.all([done(3), done(1), done(2)]);`, answer);
  assert.deepEqual([out, now], [[1, 2, 3], 300]);
});

test("a request can be aborted, before and under way", async () => {
  const { out, now } = await ran(
    `const caught = (error) => out.push(error.name);
     await fetch("http://a.example/", { signal: AbortSignal.abort() }).catch(caught);
     await fetch("http://a.example/", { signal: AbortSignal.timeout(50) }).catch(caught);`,
    () => ({ afterMs: 1000 }),
  );
  assert.deepEqual([out, now], [["AbortError", "TimeoutError"], 50]);
});

test("Response and Headers can be made by hand", async () => {
  const { out } = await ran(`const response = Response.json({ a: 1 }, { status: 404 }); out.push(response.status, response.ok, await response.json(), response.headers.get("content-type"));
    const headers = new Headers({ B: "2" }); headers.append("a", " 1 "); headers.set("b", "3"); out.push([...headers], headers.has("A"), headers.get("none"));
    headers.delete("a"); headers.forEach((value, name) => out.push(name + value));`);
  assert.deepEqual(out, [404, false, { a: 1 }, "application/json", [["a", "1"], ["b", "3"]], true, null, "b3"]);
});
