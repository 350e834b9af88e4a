// SPDX-License-Identifier: Apache-2.0
import type { DeviceQuery } from '../../api/devices';
import { ChoiceField } from '../../parts/field';
import { Search } from '../../parts/search';

interface FiltersProps {
  asked: DeviceQuery;
  onAsk: (asked: DeviceQuery) => void;
}

export function Filters({ asked, onAsk }: FiltersProps) {
  return (
    <div class="filters">
      <Search label="Filter by part of the id" value={asked.filter}
        onSearch={(filter) => onAsk({ ...asked, filter })} />
      <ChoiceField label="Status" value={asked.status} onValue={(status) => onAsk({ ...asked, status })}
        choices={[['', 'Any'], ['enabled', 'Enabled'], ['disabled', 'Disabled']]} />
      <ChoiceField label="Connection" value={asked.connection}
        onValue={(connection) => onAsk({ ...asked, connection })}
        choices={[['', 'Any'], ['Connected', 'Connected'], ['Disconnected', 'Disconnected']]} />
    </div>
  );
}
