// A certified OpenID provider on loopback or in a test's own network: node provider.mjs SETTINGS.json
// It takes any password: who the accounts are is in the settings.
import crypto from 'node:crypto'
import fs from 'node:fs'
import https from 'node:https'
import Provider from 'oidc-provider'

const given = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'))
const { privateKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 })
const provider = new Provider(given.issuer, {
  clients: given.clients,
  features: given.features,
  scopes: given.scopes,
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'groups'] },
  cookies: { keys: [crypto.randomBytes(24).toString('hex')] },
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256' }] },
  findAccount: (_, id) => given.accounts[id] && {
    accountId: id,
    claims: () => ({ sub: id, name: id, ...given.accounts[id] }),
  },
})
const tls = { cert: fs.readFileSync(given.cert_file), key: fs.readFileSync(given.key_file) }
https.createServer(tls, provider.callback()).listen(given.port, given.address, () => console.log('listening'))
