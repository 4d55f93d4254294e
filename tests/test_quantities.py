"""The dictionary: every row, every vendor's name for it, and no name for what is none."""

import re

import pytest

from gateway.quantities import (
    QUANTITIES,
    UNITS,
    conversion_for,
    find_quantity,
    find_unit,
    unknown_field,
)

FIELD = re.compile(r"[a-z][a-z0-9_]{0,63}")

# name, canonical unit, device class, a plausible low and high reading
ROWS: list[tuple[str, str, str | None, float, float]] = [
    ("temperature", "Cel", "temperature", -89.2, 1800),
    ("temperature_delta", "K", "temperature_delta", -30, 60),
    ("humidity", "%", "humidity", 0, 100),
    ("absolute_humidity", "g/m3", None, 0, 40),
    ("dew_point", "Cel", "temperature", -60, 35),
    ("heat_index", "Cel", "temperature", -10, 70),
    ("pressure", "hPa", "pressure", -500, 20_000),
    ("atmospheric_pressure", "hPa", "atmospheric_pressure", 330, 1085),
    ("pressure_sea_level", "hPa", "atmospheric_pressure", 870, 1085),
    ("illuminance", "lx", "illuminance", 0, 130_000),
    ("irradiance", "W/m2", "irradiance", 0, 1400),
    ("uv_index", "1", None, 0, 16),
    ("wind_speed", "m/s", "wind_speed", 0, 80),
    ("wind_gust", "m/s", "wind_speed", 0, 113),
    ("wind_direction", "deg", "wind_direction", 0, 360),
    ("precipitation", "mm", "precipitation", 0, 30_000),
    ("precipitation_intensity", "mm/h", "precipitation_intensity", 0, 400),
    ("moisture", "%", "moisture", 0, 100),
    ("conductivity", "uS/cm", "conductivity", 0, 53_000),
    ("ph", "[pH]", "ph", 0, 14),
    ("carbon_dioxide", "[ppm]", "carbon_dioxide", 400, 40_000),
    ("carbon_monoxide", "[ppm]", "carbon_monoxide", 0, 1000),
    ("volatile_organic_compounds_parts", "[ppb]", "volatile_organic_compounds_parts", 0, 60_000),
    ("volatile_organic_compounds", "ug/m3", "volatile_organic_compounds", 0, 10_000),
    ("voc_index", "1", "aqi", 1, 500),
    ("nox_index", "1", "aqi", 1, 500),
    ("iaq", "1", "aqi", 0, 500),
    ("nitrogen_dioxide", "ug/m3", "nitrogen_dioxide", 0, 400),
    ("ozone", "ug/m3", "ozone", 0, 400),
    ("sulphur_dioxide", "ug/m3", "sulphur_dioxide", 0, 500),
    ("pm1", "ug/m3", "pm1", 0, 1000),
    ("pm25", "ug/m3", "pm25", 0, 1000),
    ("pm4", "ug/m3", None, 0, 1000),
    ("pm10", "ug/m3", "pm10", 0, 2000),
    ("number_concentration_0_3", "/cm3", None, 0, 3000),
    ("number_concentration_0_5", "/cm3", None, 0, 3000),
    ("number_concentration_1", "/cm3", None, 0, 3000),
    ("number_concentration_2_5", "/cm3", None, 0, 3000),
    ("number_concentration_4", "/cm3", None, 0, 3000),
    ("number_concentration_5", "/cm3", None, 0, 3000),
    ("number_concentration_10", "/cm3", None, 0, 3000),
    ("typical_particle_size", "um", None, 0.3, 10),
    ("voltage", "V", "voltage", -1000, 400_000),
    ("current", "A", "current", -500, 4000),
    ("power", "W", "power", -20_000, 1e7),
    ("absolute_power", "W", "power", 0, 50_000),
    ("apparent_power", "V.A", "apparent_power", 0, 1e7),
    ("reactive_power", "V.A{reactive}", "reactive_power", -1e6, 1e6),
    ("power_factor", "1", "power_factor", -1, 1),
    ("frequency", "Hz", "frequency", 0, 868.3e6),
    ("energy", "kW.h", "energy", 0, 1e7),
    ("energy_import", "kW.h", "energy", 0, 1e7),
    ("energy_export", "kW.h", "energy", 0, 1e7),
    ("reactive_energy", "kV.A.h{reactive}", None, 0, 1e7),
    ("tariff", "1", None, 0, 10),
    ("power_failures", "1", None, 0, 1e5),
    ("voltage_sags", "1", None, 0, 1e5),
    ("voltage_swells", "1", None, 0, 1e5),
    ("battery", "%", "battery", 0, 100),
    ("battery_voltage", "V", "voltage", 0.9, 800),
    ("charge", "A.h", None, -400, 1000),
    ("volume", "m3", "volume", 0, 1e6),
    ("gas_volume", "m3", "gas", 0, 1e6),
    ("water_volume", "m3", "water", 0, 1e6),
    ("volume_flow_rate", "m3/h", "volume_flow_rate", -100, 1000),
    ("heat_energy", "kW.h", "energy", 0, 1e7),
    ("weight", "kg", "weight", -1, 60_000),
    ("distance", "m", "distance", 0, 1e9),
    ("depth", "m", "distance", 0, 11_000),
    ("level", "m", "distance", -5, 300),
    ("speed", "m/s", "speed", 0, 300),
    ("latitude", "deg", None, -90, 90),
    ("longitude", "deg", None, -180, 180),
    ("altitude", "m", "distance", -430, 40_000),
    ("course", "deg", None, 0, 360),
    ("heading", "deg", None, 0, 360),
    ("magnetic_heading", "deg", None, 0, 359.9),
    ("depth_below_surface", "m", "distance", 0.3, 11_000),
    ("depth_below_keel", "m", "distance", -0.5, 11_000),
    ("fix_mode", "1", None, 1, 3),
    ("fix_valid", "1", None, 0, 1),
    ("geoid_separation", "m", "distance", -107, 86),
    ("pitch", "deg", None, -90, 90),
    ("roll", "deg", None, -180, 180),
    ("rudder_angle", "deg", None, -45, 45),
    ("time_to_go", "s", "duration", 0, 864_000),
    ("acceleration_x", "m/s2", None, -160, 160),
    ("acceleration_y", "m/s2", None, -160, 160),
    ("acceleration_z", "m/s2", None, -160, 160),
    ("sound_pressure", "dB[SPL]", "sound_pressure", 0, 140),
    ("radiation_dose_rate", "uSv/h", None, 0.02, 1e6),
    ("count_rate", "/min", None, 0, 100_000),
    ("radon", "Bq/m3", None, 0, 10_000),
    ("signal_strength", "dBm", "signal_strength", -140, 0),
    ("link_quality", "1", None, 0, 255),
    ("duration", "s", "duration", 0, 1e9),
    ("uptime", "s", "duration", 0, 1e9),
    ("data_size", "By", "data_size", 0, 1e15),
    ("data_rate", "bit/s", "data_rate", 0, 1e12),
]

COUNTERS = {
    *("precipitation", "energy", "energy_import", "energy_export", "reactive_energy"),
    *("apparent_energy", "heat_energy", "volume", "gas_volume", "water_volume"),
    *("reactive_energy_import", "reactive_energy_export"),
    *("power_failures", "voltage_sags", "voltage_swells"),
}


@pytest.mark.parametrize(("name", "unit", "device_class", "low", "high"), ROWS)
def test_rows(name: str, unit: str, device_class: str | None, low: float, high: float) -> None:
    quantity = QUANTITIES[name]
    assert (quantity.unit, quantity.device_class) == (unit, device_class)
    assert quantity.low <= low < high <= quantity.high
    assert not {low, high} & set(quantity.sentinels)


def test_every_row_is_well_formed() -> None:
    for name, quantity in QUANTITIES.items():
        assert quantity.name == name
        assert FIELD.fullmatch(name)
        assert quantity.unit in UNITS
        assert quantity.low < quantity.high
        assert quantity.counter == (name in COUNTERS)
        assert all(quantity.low <= value <= quantity.high for value in quantity.sentinels)


def test_no_alias_has_two_quantities() -> None:
    names = [n for q in QUANTITIES.values() for n in (q.name, *q.aliases)]
    assert len(names) == len(set(names))


def test_every_name_and_alias_is_found_as_it_is_and_as_vendors_write_it() -> None:
    for quantity in QUANTITIES.values():
        for name in (quantity.name, *quantity.aliases):
            spaced = " ".join(word.capitalize() for word in name.split("_"))
            for raw in (name, name.upper(), name.replace("_", "-"), spaced):
                match = find_quantity(raw)
                assert match is not None, raw
                assert (match.field, match.quantity, match.unit) == (quantity.name, quantity, None)


NAMED = {
    # raw name: field, quantity, unit implied by the name
    "temperature_C": ("temperature", "temperature", "Cel"),
    "temp_f": ("temperature", "temperature", "[degF]"),
    "tempC": ("temperature", "temperature", "Cel"),
    "tempf": ("temperature", "temperature", "[degF]"),
    "tC": ("temperature", "temperature", "Cel"),
    "tF": ("temperature", "temperature", "[degF]"),
    "temp °C": ("temperature", "temperature", "Cel"),
    "wind_avg_km_h": ("wind_speed", "wind_speed", "km/h"),
    "wind_max_m_s": ("wind_gust", "wind_gust", "m/s"),
    "windspeedmph": ("wind_speed", "wind_speed", "[mi_i]/h"),
    "wind_dir_deg": ("wind_direction", "wind_direction", "deg"),
    "pressure_kPa": ("pressure", "pressure", "kPa"),
    "pressure_hPa": ("pressure", "pressure", "hPa"),
    "pressure_PSI": ("pressure", "pressure", "[psi]"),
    "rain_mm": ("precipitation", "precipitation", "mm"),
    "rain_in": ("precipitation", "precipitation", "[in_i]"),
    "rain_rate_mm_h": ("precipitation_intensity", "precipitation_intensity", "mm/h"),
    "flow_temperature_c": ("flow_temperature", "temperature", "Cel"),
    "power_kw": ("power", "power", "kW"),
    "power_mW": ("power", "power", "mW"),
    "power_MW": ("power", "power", "MW"),
    "power_0_W": ("power_0", "power", "W"),
    "energyKWh": ("energy", "energy", "kW.h"),
    "total_energy_consumption_kwh": ("energy", "energy", "kW.h"),
    "current_power_consumption_kw": ("current_power", "power", "kW"),
    "energy_today": ("energy_today", "energy", None),
    "total_m3": ("volume", "volume", "m3"),
    "volume_flow_m3h": ("volume_flow_rate", "volume_flow_rate", "m3/h"),
    "battery_mV": ("battery_voltage", "battery_voltage", "mV"),
    "battery_V": ("battery_voltage", "battery_voltage", "V"),
    "battery_percent": ("battery", "battery", "%"),
    "battery_ok": ("battery", "battery", "1"),
    "battery_current": ("battery_current", "current", None),
    "voltage_battery": ("voltage_battery", "voltage", None),
    "battery_1": ("battery_1", "battery", None),
    "humidity_1": ("humidity_1", "humidity", None),
    "moisture1": ("moisture_1", "moisture", None),
    "temperature.tC": ("temperature", "temperature", "Cel"),
    "SeaPressure": ("pressure_sea_level", "pressure_sea_level", None),
    "pv_voltage": ("pv_voltage", "voltage", None),
    "battery_temperature": ("battery_temperature", "temperature", None),
    "temperature_battery": ("temperature_battery", "temperature", None),
    "Temperature1": ("temperature_1", "temperature", None),
    "temperature_2": ("temperature_2", "temperature", None),
    "temp2": ("temperature_2", "temperature", None),
    "temperature_2_F": ("temperature_2", "temperature", "[degF]"),
    "soil_moisture_3": ("moisture_3", "moisture", None),
    "outdoor_temperature": ("outdoor_temperature", "temperature", None),
    "temperature_outdoor": ("temperature_outdoor", "temperature", None),
    "room.temperature": ("room_temperature", "temperature", None),
    "BME280/Temperature": ("bme280_temperature", "temperature", None),
    "current_temperature": ("current_temperature", "temperature", None),
    "soil_temperature_10cm": ("soil_temperature_10cm", "temperature", None),
    "temp_in": ("temperature_in", "temperature", None),
    "temp_in_c": ("temperature_in", "temperature", "Cel"),
    "voltage_l1": ("voltage_l1", "voltage", None),
    "voltageL1": ("voltage_l1", "voltage", None),
    "current_phase_b": ("current_phase_b", "current", None),
    "current_A": ("current", "current", "A"),
    "voltage_mv": ("voltage", "voltage", "mV"),
    "pm2.5": ("pm25", "pm25", None),
    "PM2_5": ("pm25", "pm25", None),
    "pm2_5_ug_m3": ("pm25", "pm25", "ug/m3"),
    "PM1.0": ("pm1", "pm1", None),
    "PM10": ("pm10", "pm10", None),
    "pm10_cf1": ("pm10_cf1", "pm10", None),
    "pm10_2": ("pm10_2", "pm10", None),
    "CO\u2082": ("carbon_dioxide", "carbon_dioxide", None),
    "co2_ppm": ("carbon_dioxide", "carbon_dioxide", "[ppm]"),
    "eCO2": ("equivalent_carbon_dioxide", "equivalent_carbon_dioxide", None),
    "TVOC": ("volatile_organic_compounds_parts", "volatile_organic_compounds_parts", None),
    "light_lux": ("illuminance", "illuminance", "lx"),
    "tank_level_cm": ("tank_level", "level", "cm"),
    "storm_dist_km": ("storm_distance", "distance", "km"),
    "radiation_usv_h": ("radiation_dose_rate", "radiation_dose_rate", "uSv/h"),
    "uptime_ms": ("uptime", "uptime", "ms"),
    "accelX": ("acceleration_x", "acceleration_x", None),
    "nc0.5": ("number_concentration_0_5", "number_concentration_0_5", None),
    "dewpoint": ("dew_point", "dew_point", None),
    "RSSI": ("signal_strength", "signal_strength", None),
    "linkquality": ("link_quality", "link_quality", None),
    "pH": ("ph", "ph", None),
}


@pytest.mark.parametrize("raw", NAMED)
def test_names_of_vendors(raw: str) -> None:
    match = find_quantity(raw)
    assert match is not None
    unit = match.unit.code if match.unit is not None else None
    assert (match.field, match.quantity.name, unit) == NAMED[raw]
    assert FIELD.fullmatch(match.field)
    assert conversion_for(match.quantity, match.unit) is not None


ORDINARY = """
    version count mode status ip mac name id type state value time timestamp date ts seq sequence
    model firmware channel led relay switch on off open closed contact occupancy motion presence
    tamper vibration action click button alarm smoke water_leak leak update progress brightness
    color hue saturation color_temp color_temperature effect transition position tilt lock
    child_lock
    t h p u v i x y z a b c n s q e rain light gas water noise bat batt voc no2 o3 so2 ec soil press
    current_level temperature_current consumption total import export flow wind solar radiation
    signal capacity import_ok
    low_battery battery_low battery_state battery_type battery_alarm power_on_behavior
    power_outage_count power_outage_memory tx_power temperature_alarm temperature_unit
    temperature_calibration humidity_alarm humidity_offset voltage_alarm is_temperature has_power
    current_heating_setpoint current_position current_state current_mode current_version current_day
    log_level zoom_level bit_depth queue_depth fan_speed download_speed print_speed media_volume
    frame_duration service_duration sampling_frequency update_frequency font_weight screen_heading
    tempo temporary template temperament durations powers energetic humor ratio pressing levels
    heartbeat free_heap reset_reason message_counter sleep interval uuid host port ssid bssid
    latency iteration alternate language longest latest counter hello world foo bar baz data
    settings password username topic payload retain qos uri error message event class category
    power_mw
""".split()  # noqa: SIM905


@pytest.mark.parametrize("word", ORDINARY)
def test_ordinary_words_stay_unknown(word: str) -> None:
    for raw in (word, word.upper(), word.title()):
        assert find_quantity(raw) is None


@pytest.mark.parametrize(
    ("raw", "stated", "field"),
    [
        ("rain", "mm", "precipitation"),
        ("rain", "mm/h", "precipitation_intensity"),
        ("bat", "%", "battery"),
        ("batt", "V", "battery_voltage"),
        ("battery", "mV", "battery_voltage"),
        ("voc", "ppb", "volatile_organic_compounds_parts"),
        ("voc", "\u00b5g/m³", "volatile_organic_compounds"),
        ("tvoc", "mg/m³", "volatile_organic_compounds"),
        ("t", "°C", "temperature"),
        ("p", "hPa", "pressure"),
        ("p", "W", "power"),
        ("soil", "%", "moisture"),
        ("soil", "°C", "soil_temperature"),
        ("gas", "m³", "gas_volume"),
        ("water", "L", "water_volume"),
        ("noise", "dBA", "sound_pressure"),
        ("noise", "dB", "sound_pressure"),
        ("flow", "l/min", "volume_flow_rate"),
        ("no2", "\u03bcg/m³", "nitrogen_dioxide"),
        ("charge_current", "A", "charge_current"),
        ("ec", "mS/cm", "conductivity"),
        ("temperature_f", "°C", "temperature"),
        ("power_mw", "kW", "power"),
    ],
)
def test_a_stated_unit_makes_names_clear(raw: str, stated: str, field: str) -> None:
    unit = find_unit(stated)
    assert unit is not None
    match = find_quantity(raw, unit)
    assert match is not None
    assert match.field == field
    assert match.unit is not None
    assert match.unit.code in {unit.code, "dB[SPL]"}
    assert conversion_for(match.quantity, match.unit) is not None


@pytest.mark.parametrize(
    ("raw", "stated"),
    [
        ("pressure", "W"),
        ("power", "%"),
        ("temperature", "%"),
        ("no2", "ppb"),
        ("rssi", "%"),
        ("link_quality", "%"),
        ("humidity_C", "V"),
        ("noise", "dBm"),
    ],
)
def test_a_unit_that_cannot_be_is_no_match(raw: str, stated: str) -> None:
    unit = find_unit(stated)
    assert unit is not None
    assert find_quantity(raw, unit) is None
    field = unknown_field(raw, unit)
    assert field not in QUANTITIES
    assert FIELD.fullmatch(field)


@pytest.mark.parametrize(
    ("name", "unit", "found"),
    [
        ("temperature", None, (1.0, 0.0)),
        ("temperature", "K", (1.0, -273.15)),
        ("temperature_delta", "Cel", (1.0, 0.0)),
        ("temperature_delta", "[degF]", (5 / 9, 0.0)),
        ("voltage", "mV", (0.001, 0.0)),
        ("carbon_dioxide", "%", (10_000.0, 0.0)),
        ("carbon_dioxide", "ug/m3", None),
        ("humidity", "[ppm]", None),
        ("battery", "1", (100.0, 0.0)),
        ("power_factor", "%", (0.01, 0.0)),
        ("uv_index", "%", None),
        ("uv_index", "1", (1.0, 0.0)),
        ("acceleration_x", "mg", (0.00980665, 0.0)),
        ("weight", "mg", (1e-6, 0.0)),
        ("sound_pressure", "dB", (1.0, 0.0)),
        ("signal_strength", "dB", None),
        ("reactive_power", "W", None),
    ],
)
def test_conversion_knows_the_quantity(
    name: str, unit: str | None, found: tuple[float, float] | None
) -> None:
    assert conversion_for(QUANTITIES[name], UNITS[unit] if unit else None) == found


def test_sentinels_and_ranges_refuse_what_is_no_measurement() -> None:
    assert -127.0 in QUANTITIES["temperature"].sentinels
    assert 85.0 not in QUANTITIES["temperature"].sentinels
    assert 65535.0 in QUANTITIES["carbon_dioxide"].sentinels
    assert QUANTITIES["temperature"].high < 3276.7
    assert QUANTITIES["humidity"].high < 104.7
    assert QUANTITIES["battery"].high < 255


def test_every_quantity_accepts_every_unit_of_its_dimension_by_name() -> None:
    for quantity in QUANTITIES.values():
        dimension = UNITS[quantity.unit].dimension
        for unit in UNITS.values():
            found = conversion_for(quantity, unit)
            if unit.dimension == dimension and dimension != "ratio":
                assert found is not None
                match = find_quantity(quantity.name, unit)
                assert match is not None
                assert match.quantity in {quantity, QUANTITIES["precipitation"]}
