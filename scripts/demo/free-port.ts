import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'

/** A port of localhost that nobody listens on, for an issuer that must name its port beforehand. */
export async function findFreePort(): Promise<number> {
  const probe = createServer().listen(0, 'localhost')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}
