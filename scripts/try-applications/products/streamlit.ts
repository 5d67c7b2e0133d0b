import { inflateSync } from 'node:zlib'
import type { Trial } from '../trial.ts'

/** What the button of `st.login()` sends the browser with, over its web socket. */
let provider = ''

export const streamlit: Trial = {
  async start(workshop) {
    const python = await workshop.python('streamlit==1.67.0', 'authlib==1.9.10', 'httpx==0.28.1')
    await workshop.write('.streamlit/secrets.toml', workshop.lines)
    await workshop.write('app.py', 'import streamlit as st\n\nst.write(st.user)\n')
    await workshop.write(
      'provider.py',
      'from streamlit.auth_util import encode_provider_token\n\nprint("token", encode_provider_token("default"))\n',
    )
    const printed = await workshop.run(python, ['-W', 'ignore', 'provider.py'])
    provider = printed.match(/^token (\S+)$/m)?.[1] ?? ''
    const options = ['--server.headless=true', '--server.address=localhost']
    const place = [...options, `--server.port=${workshop.port}`]
    await workshop.serve(python, ['-m', 'streamlit', 'run', 'app.py', ...place])
    return await workshop.versions(python, 'streamlit', 'authlib')
  },
  login: (browser, url) => browser.visit(`${url}/auth/login?provider=${provider}`),
  // What the page shows comes over the web socket, from this cookie.
  greeting: (browser) => {
    // Signed by itsdangerous: the payload comes first, after a dot when it is compressed.
    const [payload = '', compressed = ''] = (browser.cookie('_streamlit_user') ?? '').split('.')
    return payload === '' && compressed !== ''
      ? inflateSync(Buffer.from(compressed, 'base64url')).toString()
      : Buffer.from(payload, 'base64url').toString()
  },
  home: '/',
  logout: '/auth/logout',
}
