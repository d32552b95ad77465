// Import a module of frontend/. The package has no package.json, so node is told by a data: URL that it is an ES module.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const assets = join(dirname(fileURLToPath(import.meta.url)), "../../../dashboard/fluoro_dashboard/frontend");

const inline = (name) => `data:text/javascript;base64,${Buffer.from(source(name)).toString("base64")}`;
const source = (name) => readFileSync(join(assets, name), "utf8").replace(/from "\.\/([^"]+)"/g, (_, other) => `from "${inline(other)}"`);

export const load = (name) => import(inline(name));
