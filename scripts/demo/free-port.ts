import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'

/** A free port of localhost, for an issuer that must contain its port before it listens. */
export async function findFreePort(): Promise<number> {
  const probe = createServer().listen(0, 'localhost')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}
