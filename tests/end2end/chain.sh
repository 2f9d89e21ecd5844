#!/usr/bin/env bash
# Real models on a mesh of three, as deploy/samples/chain has them: OCR on one node, language and translation on another, asked
# for on the third. Then the receipts once more, by a library that others wrote (Node's @digitalbazaar/vc).
. "$(dirname "$0")/lib.bash"

start 1
join 2
join 3
await 20 "all are connected" peers_up 3 2
export XDG_CACHE_HOME=${SOUK_TEST_CACHE:-$work/cache}
NODES="$work/1 $work/2 $work/3" SOUK=$souk "$top/deploy/samples/chain" >"$work/chain.out" 2>"$work/chain.log"
code=$?
cat "$work/chain.out" "$work/chain.log"
if [[ $code == 77 ]]; then echo "a real model is missing: not run"; exit 77; fi
grep -qE 'missing|permitted' "$work/chain.log" && { echo "this machine runs no sandbox"; exit 77; }
[[ $code == 0 ]] || fail "the chain ended with status $code"
grep -qx 'text         The house is big. The garden is small.' "$work/chain.out" || fail "the text"
grep -qE '^language     __label__en 0\.[0-9]+' "$work/chain.out" || fail "the language"
grep -qx 'translation  La casa es grande. El jardín es pequeño.' "$work/chain.out" || fail "the translation"
[[ $(grep -c 'holds: signed by did:key:z6Mk' "$work/chain.out") == 3 ]] || fail "three receipts"
kept() { [[ $(on 3 receipt ls -o json | jq length) == 3 ]]; }
await 10 "three receipts are kept" kept
[[ $(on 3 receipt ls -o json | jq '[.[].issuer.id] | unique | length') == 2 ]] || fail "two nodes signed them"
on 1 invoke language -d 'Les enfants jouent dans le jardin' | found '^__label__fr 0.9' || fail "French"

say "the receipts, by a library of others"
if ! command -v npm >/dev/null || ! npm install --prefix "$work/npm" --ignore-scripts --no-audit --no-fund --silent --fetch-retries=1 --fetch-retry-mintimeout=1000 --fetch-timeout=20000 \
    @digitalbazaar/vc @digitalbazaar/data-integrity @digitalbazaar/eddsa-jcs-2022-cryptosuite >/dev/null 2>&1; then
    echo "@digitalbazaar/vc cannot be fetched: that check is not run"
    exit 0
fi
on 3 receipt ls -o json >"$work/npm/receipts.json"
cat >"$work/npm/check.mjs" <<'JS'
import {readFileSync} from 'node:fs';
import * as vc from '@digitalbazaar/vc';
import {DataIntegrityProof} from '@digitalbazaar/data-integrity';
import {createVerifyCryptosuite} from '@digitalbazaar/eddsa-jcs-2022-cryptosuite';
const contexts = new Map();
try {
  for(const [url, doc] of (await import('@digitalbazaar/credentials-context')).contexts) contexts.set(url, doc);
} catch { /* not needed to canonicalise JSON */ }
const documentLoader = async url => {
  const [did] = url.split('#'), key = did.slice('did:key:'.length);
  const method = {'@context': 'https://w3id.org/security/multikey/v1', id: `${did}#${key}`, type: 'Multikey',
    controller: did, publicKeyMultibase: key};
  const controller = {'@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'], id: did,
    verificationMethod: [method], assertionMethod: [method.id]};
  if(url.startsWith('did:key:')) return {contextUrl: null, documentUrl: url, document: url.includes('#') ? method : controller};
  if(contexts.has(url)) return {contextUrl: null, documentUrl: url, document: contexts.get(url)};
  throw new Error(`nothing is fetched here: ${url}`);
};
const suite = () => new DataIntegrityProof({cryptosuite: createVerifyCryptosuite()});
const verify = async credential => (await vc.verifyCredential({credential, suite: suite(), documentLoader})).verified;
for(const credential of JSON.parse(readFileSync('receipts.json', 'utf8'))) {
  if(!await verify(credential)) throw new Error(`not verified: ${credential.id}`);
  const forged = structuredClone(credential);
  forged.credentialSubject.work.result = 'forged';
  if(await verify(forged)) throw new Error('a forged receipt is verified');
  console.log('verified', credential.id);
}
JS
(cd "$work/npm" && node check.mjs) >"$work/npm.out" 2>&1 || { cat "$work/npm.out"; fail "the library refuses a receipt"; }
[[ $(grep -c '^verified ' "$work/npm.out") == 3 ]] || fail "not three: $(cat "$work/npm.out")"
for n in 1 2 3; do stop $n; done
