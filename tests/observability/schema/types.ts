// What Grafana publishes of the dashboard's format, by the names that `validate.mjs` asks for.
import * as dashboard from './node_modules/@grafana/schema/dist/types/raw/dashboard/x/types.gen';
import * as bargauge from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import * as statetimeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

export type WholeDashboard = dashboard.Dashboard;
export type OnePanel = dashboard.Panel;
export type OneRow = dashboard.RowPanel;
export type BargaugePanelOptions = bargauge.Options;
export type StatPanelOptions = stat.Options;
export type StatetimelinePanelOptions = statetimeline.Options;
export type StatetimelinePanelFieldConfig = statetimeline.FieldConfig;
export type TablePanelOptions = table.Options;
export type TablePanelFieldConfig = table.FieldConfig;
export type TimeseriesPanelOptions = timeseries.Options;
export type TimeseriesPanelFieldConfig = timeseries.FieldConfig;
