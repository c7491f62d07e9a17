// Holds the dashboard and the alerts' provisioning against what Grafana publishes of its formats.
//
//   node validate.mjs DASHBOARD.json RULES.yaml PROVISIONED.yaml OTHER-PROVISIONING.yaml...
//
// The dashboard: against JSON schemas made of the types in @grafana/schema, the panel's own
// options and field configuration each against that of its kind. The alerts: what Grafana's
// loader demands, and that both forms say the same.
import { readFileSync } from 'node:fs';
import Ajv from 'ajv';
import { createGenerator } from 'ts-json-schema-generator';
import { parse } from 'yaml';

const [dashboardFile, rulesFile, provisionedFile, ...others] = process.argv.slice(2);
const read = (file) => readFileSync(file, 'utf8');
const ajv = new Ajv({ allErrors: true, strict: false });
const faults = [];

// Fields that Grafana writes and reads, and that its published types do not have.
const UNPUBLISHED = [
  ['templating/list', ['definition']],
  ['annotations/list', ['expr', 'titleFormat', 'useValueForTime', 'step', 'target']],
];

// One schema for each type: Grafana calls the options of every kind of panel `Options`.
const validators = {};
function validator(type) {
  const source = { path: 'types.ts', type, skipTypeCheck: true };
  return (validators[type] ??= ajv.compile(createGenerator(source).createSchema(type)));
}

function check(type, value, where) {
  const validate = validator(type);
  if (validate(value)) return;
  for (const { instancePath, message, params } of validate.errors) {
    const at = `${where}${instancePath}`;
    const name = params.additionalProperty ?? '';
    const known = UNPUBLISHED.some(
      ([path, names]) => at.includes(path) && names.some((one) => one === name || at.endsWith(one)),
    );
    if (!known) faults.push(`${at}: ${message} ${name}`);
  }
}

const dashboard = JSON.parse(read(dashboardFile));
check('WholeDashboard', { ...dashboard, panels: [] }, 'dashboard');
for (const panel of dashboard.panels) {
  const where = `panel ${panel.id} "${panel.title}"`;
  if (panel.type === 'row') {
    check('OneRow', panel, where);
    continue;
  }
  check('OnePanel', panel, where);
  const kind = panel.type.replace('-', '');
  const Kind = kind[0].toUpperCase() + kind.slice(1);
  check(`${Kind}PanelOptions`, panel.options, `${where} options`);
  if (panel.fieldConfig.defaults.custom) {
    check(`${Kind}PanelFieldConfig`, panel.fieldConfig.defaults.custom, `${where} custom`);
  }
}

const rules = parse(read(rulesFile)).groups.flatMap((group) => group.rules).filter((rule) => rule.alert);
const provisioned = parse(read(provisionedFile));
if (provisioned.apiVersion !== 1) faults.push('alerts: apiVersion is not 1');
const made = provisioned.groups.flatMap((group) => {
  for (const key of ['name', 'folder', 'interval']) {
    if (!group[key]) faults.push(`group ${group.name}: no ${key}`);
  }
  return group.rules;
});
const inGrafana = (text) => text.replaceAll('$value', '$values.query.Value');
const panelIds = new Set(dashboard.panels.map((panel) => panel.id));
// Grafana alone tells that its data source is gone.
if (rules.length + 1 !== made.length) faults.push('alerts: the two forms differ in number');
for (const rule of rules) {
  const twin = made.find((one) => one.title === rule.alert);
  if (!twin) { faults.push(`${rule.alert} is not provisioned`); continue; }
  const query = twin.data.find((node) => node.refId === 'query').model;
  const [, found, fires] = twin.data.map((node) => node.model);
  const same = [
    ['recording rules', /gapmend:/.test(query.expr), false],
    ['for', twin.for, rule.for ?? '0m'],
    ['keep_firing_for', twin.keepFiringFor, rule.keep_firing_for],
    ['labels', JSON.stringify(twin.labels), JSON.stringify(rule.labels)],
    ['condition', twin.condition, 'fires'],
    ['math', found.expression, 'is_number($query) || is_nan($query) || is_inf($query)'],
    ['threshold', `${fires.expression} ${JSON.stringify(fires.conditions[0].evaluator)}`,
      'found {"type":"gt","params":[0]}'],
    ['noDataState', twin.noDataState, 'OK'],
    ['execErrState', twin.execErrState, rule.alert === 'GapmendWatchdog' ? 'OK' : 'KeepLast'],
  ];
  for (const name of Object.keys(rule.annotations)) {
    same.push([name, twin.annotations[name], inGrafana(rule.annotations[name])]);
  }
  for (const [what, one, other] of same) {
    if (one !== other) faults.push(`${rule.alert}: ${what} differs: ${one} | ${other}`);
  }
  if (!/^[A-Za-z0-9_-]{1,40}$/.test(twin.uid)) faults.push(`${rule.alert}: uid ${twin.uid}`);
  if (!panelIds.has(twin.panelId)) faults.push(`${rule.alert}: no panel ${twin.panelId}`);
}
const onError = made.filter((rule) => rule.execErrState === 'Alerting').map((rule) => rule.title);
if (onError.join() !== 'GapmendPrometheusUnreachable') faults.push(`alerts on an error: ${onError}`);
if (new Set(made.map((rule) => rule.uid)).size !== made.length) faults.push('alerts: a uid twice');

// What each kind of provisioning file must have, by Grafana's loader.
const NEEDED = {
  datasources: ['name', 'uid', 'type', 'url'],
  providers: ['name', 'type', 'options'],
  contactPoints: ['name', 'receivers'],
  groups: ['name', 'folder', 'interval', 'rules'],
};
const uidOfSource = provisioned.groups[0].rules[0].data[0].datasourceUid;
for (const file of others) {
  const { apiVersion, ...lists } = parse(read(file));
  if (apiVersion !== 1) faults.push(`${file}: apiVersion is not 1`);
  for (const [list, entries] of Object.entries(lists)) {
    for (const name of NEEDED[list] ?? [undefined]) {
      if (!entries.every((entry) => name in entry)) faults.push(`${file}: ${list} without ${name}`);
    }
    if (list === 'datasources' && !entries.some((entry) => entry.uid === uidOfSource)) {
      faults.push(`${file}: no data source has the uid ${uidOfSource} of the rules`);
    }
  }
}

for (const fault of faults) console.error(fault);
console.log(`${dashboard.panels.length} panels and ${rules.length} alerts, ${faults.length} faults`);
process.exit(faults.length ? 1 : 0);
