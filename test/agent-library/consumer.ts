/**
 * Signs in without a browser and prints the host that the sign-in returns to. The test of the package
 * copies this file next to an installed package, also as JavaScript: write no types here.
 */
import { createAgent, generateKey, readKey, SignInError } from '@auth-agent/agent'

const [url = '', agent_id = '', agent_secret = ''] = process.argv.slice(2)
const { kid } = await generateKey('agent.key')
if ((await readKey('agent.key')).kid !== kid) throw new Error('the key file holds another key')
const issuer = new URL(url).origin
const agent = createAgent({ issuer, credentials: { agent_id, agent_secret }, model: 'test-model' })
try {
  await agent.openSignIn(url, { site: { redirect_host: 'another.example' } })
} catch (error) {
  if (!(error instanceof SignInError) || error.code !== 'wrong_site') throw error
}
const signedIn = await agent.openSignIn(url, { site: { redirect_host: 'site.example' } })
process.stdout.write(signedIn.redirect_host)
