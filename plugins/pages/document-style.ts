/** How pages of documentation look: a list of links beside the text. */
export const documentStyle = `
:root { color-scheme: light dark; --line: light-dark(#dce1e9, #303846); --quiet: light-dark(#545e70, #a9b3c3); --accent: light-dark(#2b57d0, #93b3ff); }
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 78rem; padding: 1.5rem; font: 1rem/1.55 system-ui, sans-serif;
  color: light-dark(#1b2230, #e9edf4); background: light-dark(#fff, #0f1319);
  display: grid; grid-template-columns: 19rem minmax(0, 1fr); gap: 1rem 3rem;
}
header { grid-column: 1 / -1; }
nav { align-self: start; position: sticky; top: 1rem; max-height: calc(100vh - 2rem); overflow-y: auto; }
nav h2 { margin: 1rem 0 .25rem; font-size: .9rem; color: var(--quiet); }
nav ul { margin: 0; padding: 0; list-style: none; font-size: .85rem; }
nav li { padding: .15rem 0; overflow-wrap: anywhere; }
h1 { margin: 0; font-size: 1.7rem; }
section { padding-bottom: 1.5rem; border-bottom: 1px solid var(--line); }
section h2 { margin-top: 1.5rem; font-size: 1.15rem; overflow-wrap: anywhere; }
h3 { margin: 1.25rem 0 .5rem; font-size: 1rem; }
p { margin: .4rem 0; }
a { color: var(--accent); }
code { font: .92em ui-monospace, Menlo, Consolas, monospace; }
.quiet, small { color: var(--quiet); }
.wide { overflow-x: auto; }
.option + .option { margin-top: 1rem; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; }
th, td { padding: .35rem .75rem .35rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); font-weight: 400; }
thead th { font-weight: 600; }
dl { margin: 0; display: grid; grid-template-columns: 3rem minmax(0, 1fr); gap: .25rem .75rem; }
dd { margin: 0; }
dd p:first-child { margin-top: 0; }
@media (max-width: 56rem) { body { grid-template-columns: minmax(0, 1fr); } nav { position: static; max-height: none; } }
`
