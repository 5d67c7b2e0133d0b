import closeWithGrace from 'close-with-grace'
import { buildApp } from '../plugins/app.ts'
import { readEnvironment } from '../plugins/core/settings.ts'

const settings = readEnvironment()
const app = await buildApp(settings)
closeWithGrace(async () => void (await app.close()))
await app.listen({ host: settings.HOST, port: settings.PORT })
