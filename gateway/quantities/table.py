"""The quantities known to the gateway, one row each: data for `gateway.quantities`.

Field names are Home Assistant's device classes
(https://www.home-assistant.io/integrations/sensor/#device-class) in snake case, each with one
canonical unit; where Home Assistant has no class, the name follows the same style.

Ranges are in the canonical unit and generous: what physics allows and some real sensor can
report.  They catch what is no measurement at all (65535, 1e30, 6553.5), not what is unusual.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Quantity:
    """One row of the dictionary: under which name, in which unit, within which bounds."""

    name: str
    unit: str
    device_class: str | None
    low: float
    high: float
    counter: bool = False
    """It only grows, until the device starts again (Home Assistant: total_increasing)."""
    sentinels: tuple[float, ...] = ()
    """Exact values within the range that mean "no value"."""
    aliases: tuple[str, ...] = ()
    """Other names, in snake case, that mean this quantity whoever uses them."""


_ALL_BITS: Final = (65535.0,)
"""A 16-bit register without a value, where that is a possible reading."""

_DS18B20_ABSENT: Final = (-127.0,)
"""DallasTemperature's DEVICE_DISCONNECTED_C. Its power-on value, 85, is a possible reading."""


def _is(
    name: str,
    unit: str,
    low: float,
    high: float,
    aliases: str = "",
    device_class: str | None = "",
    *,
    counter: bool = False,
    sentinels: tuple[float, ...] = (),
) -> Quantity:
    """One row; the device class is the name unless said otherwise."""
    return Quantity(
        name=name,
        unit=unit,
        device_class=name if device_class == "" else device_class,
        low=low,
        high=high,
        counter=counter,
        sentinels=sentinels,
        aliases=tuple(aliases.split()),
    )


def _number_concentration(size: str, spelled: str) -> Quantity:
    """Particles per volume, larger than or up to a size in micrometres."""
    prefixes = ("nc", "nc_pm", "nc_", "number_concentration_pm", "particles_", "pm_count_")
    aliases = " ".join(prefix + one for prefix in prefixes for one in spelled.split())
    return _is(f"number_concentration_{size}", "/cm3", 0, 1e7, aliases, None)


_CLIMATE: Final = (
    _is(
        "temperature",
        "Cel",
        -273.15,
        3000,
        "temp temperatur temperature_value",
        sentinels=_DS18B20_ABSENT,
    ),
    _is("temperature_delta", "K", -1000, 1000, "temp_delta delta_temperature delta_temp delta_t"),
    _is(
        "humidity",
        "%",
        0,
        102,
        "hum humi rh relative_humidity humidity_value relative_humidity_rh luftfeuchtigkeit",
    ),
    _is("absolute_humidity", "g/m3", 0, 700, "abs_humidity humidity_absolute", None),
    _is("dew_point", "Cel", -120, 105, "dew_temp dew_point_temperature dew_pt", "temperature"),
    _is("heat_index", "Cel", -100, 200, "heat_index_temperature", "temperature"),
    _is("wind_chill", "Cel", -150, 100, "wind_chill_temperature", "temperature"),
    _is("apparent_temperature", "Cel", -150, 200, "feels_like", "temperature"),
    _is("moisture", "%", 0, 102, "soil_moisture soil_humidity moisture_level"),
    _is("conductivity", "uS/cm", 0, 2e6, "soil_conductivity electrical_conductivity"),
    _is("ph", "[pH]", -2, 16, "ph_value p_h water_ph soil_ph"),
    _is(
        "illuminance",
        "lx",
        0,
        400_000,
        "lux illumination illuminance_lux",
    ),
    _is("sound_pressure", "dB[SPL]", -20, 200, "sound_level noise_level spl sound_pressure_level"),
)

_WEATHER: Final = (
    _is("pressure", "hPa", -1100, 1e7, "pressure_value"),
    _is(
        "atmospheric_pressure",
        "hPa",
        1,
        1300,
        "air_pressure baro barometer barometric barometric_pressure absolute_pressure "
        "barom_abs pressure_absolute station_pressure luftdruck",
    ),
    _is(
        "pressure_sea_level",
        "hPa",
        800,
        1150,
        "sea_level_pressure sea_pressure mslp slp msl_pressure pressure_msl barom_rel "
        "relative_pressure pressure_relative sealevel_pressure",
        "atmospheric_pressure",
    ),
    _is("irradiance", "W/m2", -500, 5000, "solar_radiation solar_irradiance global_radiation"),
    _is("uv_index", "1", 0, 50, "uv uvi", None),
    _is("wind_speed", "m/s", 0, 150, "wind_avg wind_average wind_speed_avg wind_spd wind_vel"),
    _is(
        "wind_gust",
        "m/s",
        0,
        200,
        "gust wind_max wind_gust_speed gust_speed wind_speed_gust wind_speed_max",
        "wind_speed",
    ),
    _is(
        "wind_direction",
        "deg",
        0,
        360,
        "wind_dir wind_bearing wind_angle wind_heading winddirection",
    ),
    _is(
        "precipitation",
        "mm",
        0,
        1e6,
        "rainfall rain_total total_rain rain_fall precipitation_total rainfall_total",
        counter=True,
    ),
    _is(
        "precipitation_intensity",
        "mm/h",
        0,
        10_000,
        "rain_rate rain_intensity rainfall_rate precipitation_rate rainfall_intensity",
    ),
)

_AIR: Final = (
    _is("carbon_dioxide", "[ppm]", 0, 1e6, "co2", sentinels=_ALL_BITS),
    _is(
        "equivalent_carbon_dioxide",
        "[ppm]",
        0,
        1e6,
        "eco2 e_co2 co2_equivalent co2eq co2_eq equivalent_co2 estimated_co2",
        "carbon_dioxide",
        sentinels=_ALL_BITS,
    ),
    _is("carbon_monoxide", "[ppm]", 0, 1e6, "co", sentinels=_ALL_BITS),
    _is(
        "volatile_organic_compounds_parts",
        "[ppb]",
        0,
        1e7,
        "tvoc t_voc voc_parts",
        sentinels=_ALL_BITS,
    ),
    _is("volatile_organic_compounds", "ug/m3", 0, 1e7, sentinels=_ALL_BITS),
    _is("voc_index", "1", 0, 500, "voc_idx tvoc_index", "aqi"),
    _is("nox_index", "1", 0, 500, "nox_idx", "aqi"),
    _is("iaq", "1", 0, 500, "iaq_index", "aqi"),
    _is("nitrogen_dioxide", "ug/m3", 0, 1e6),
    _is("nitrogen_monoxide", "ug/m3", 0, 1e6),
    _is("ozone", "ug/m3", 0, 1e6),
    _is("sulphur_dioxide", "ug/m3", 0, 1e6, "sulfur_dioxide"),
    _is("formaldehyde", "ug/m3", 0, 1e6, "", None),
    _is("pm1", "ug/m3", 0, 50_000, "pm1_0 pm_1 pm_1_0 pm01"),
    _is("pm25", "ug/m3", 0, 50_000, "pm2_5 pm_25 pm_2_5 pm02_5 pm02"),
    _is("pm4", "ug/m3", 0, 50_000, "pm4_0 pm_4 pm_4_0", None),
    _is("pm10", "ug/m3", 0, 50_000, "pm10_0 pm_10 pm_10_0"),
    _number_concentration("0_3", "0_3 03 0_3um 03um"),
    _number_concentration("0_5", "0_5 05 0_5um 05um"),
    _number_concentration("1", "1_0 1 1_0um"),
    _number_concentration("2_5", "2_5 25 2_5um 25um"),
    _number_concentration("4", "4_0 4 4_0um"),
    _number_concentration("5", "5_0 5 5_0um"),
    _number_concentration("10", "10_0 10 10_0um"),
    _is("typical_particle_size", "um", 0, 1000, "", None),
    _is("radon", "Bq/m3", 0, 1e8, "radon_concentration radon_level", None),
    _is("radiation_dose_rate", "uSv/h", 0, 1e9, "dose_rate radiation_dose gamma_dose_rate", None),
    _is("count_rate", "/min", 0, 1e9, "cpm counts_per_minute radiation_cpm", None),
)

_ELECTRICITY: Final = (
    _is("voltage", "V", -2e6, 2e6, "volt volts"),
    _is("current", "A", -1e6, 1e6, "amperage amps ampere"),
    _is(
        "power",
        "W",
        -1e11,
        1e11,
        "active_power act_power apower power_active real_power wattage watts watt "
        "power_consumption",
    ),
    _is("absolute_power", "W", 0, 1e11, "", "power"),
    _is("apparent_power", "V.A", -1e11, 1e11, "power_apparent aprt_power"),
    _is("reactive_power", "V.A{reactive}", -1e11, 1e11, "power_reactive"),
    _is("power_factor", "1", -1.05, 1.05, "pf cos_phi cosphi factor_power"),
    _is("frequency", "Hz", 0, 1e12, "line_frequency grid_frequency"),
    _is(
        "energy",
        "kW.h",
        -1e12,
        1e12,
        "active_energy total_energy energy_total energy_consumption total_energy_consumption "
        "energy_consumed",
        counter=True,
    ),
    _is(
        "energy_import",
        "kW.h",
        0,
        1e12,
        "import_energy energy_imported imported_energy total_import_energy energy_import_total "
        "import_active_energy active_energy_import "
        "total_energy_import",
        "energy",
        counter=True,
    ),
    _is(
        "energy_export",
        "kW.h",
        0,
        1e12,
        "export_energy energy_exported exported_energy total_export_energy energy_export_total "
        "export_active_energy active_energy_export "
        "total_energy_export",
        "energy",
        counter=True,
    ),
    _is(
        "reactive_energy",
        "kV.A.h{reactive}",
        -1e12,
        1e12,
        "energy_reactive total_reactive_energy",
        None,
        counter=True,
    ),
    _is("reactive_energy_import", "kV.A.h{reactive}", 0, 1e12, "", None, counter=True),
    _is("reactive_energy_export", "kV.A.h{reactive}", 0, 1e12, "", None, counter=True),
    _is("apparent_energy", "kV.A.h", 0, 1e12, "energy_apparent", None, counter=True),
    _is("tariff", "1", 0, 63, "", None),
    _is("power_failures", "1", 0, 1e9, "", None, counter=True),
    _is("voltage_sags", "1", 0, 1e9, "", None, counter=True),
    _is("voltage_swells", "1", 0, 1e9, "", None, counter=True),
    _is("heat_energy", "kW.h", 0, 1e12, "thermal_energy energy_heat", "energy", counter=True),
    _is("battery", "%", 0, 100, "battery_level state_of_charge soc battery_soc battery_charge"),
    _is(
        "battery_voltage",
        "V",
        -10,
        2000,
        "vbat vbatt v_bat v_batt bat_voltage batt_voltage battery_volt battery_volts bat_v batt_v",
        "voltage",
    ),
    _is("charge", "A.h", -1e7, 1e7, "consumed_charge", None),
)

_OTHER: Final = (
    _is("volume", "m3", 0, 1e9, "total_volume volume_total", counter=True),
    _is("gas_volume", "m3", 0, 1e9, "", "gas", counter=True),
    _is(
        "water_volume",
        "m3",
        0,
        1e9,
        "",
        "water",
        counter=True,
    ),
    _is("volume_flow_rate", "m3/h", -1e6, 1e6, "flow_rate volume_flow water_flow flowrate"),
    _is("weight", "kg", -1e6, 1e7, "mass"),
    _is("distance", "m", -1e10, 1e10, "dist"),
    _is("depth", "m", -12_000, 12_000, "water_depth", "distance"),
    _is("depth_below_surface", "m", -12_000, 12_000, "", "distance"),
    _is("depth_below_keel", "m", -12_000, 12_000, "", "distance"),
    _is("level", "m", -12_000, 12_000, "", "distance"),
    _is("altitude", "m", -12_000, 1e9, "alt elevation", "distance"),
    _is("speed", "m/s", -20_000, 20_000, "velocity ground_speed speed_over_ground"),
    _is("latitude", "deg", -90, 90, "lat gps_latitude gps_lat", None),
    _is("longitude", "deg", -180, 180, "lon lng gps_longitude gps_lon gps_lng", None),
    _is("course", "deg", 0, 360, "course_over_ground cog", None),
    _is("heading", "deg", -180, 360, "hdg compass_heading", None),
    _is("magnetic_heading", "deg", 0, 360, "", None),
    _is("speed_through_water", "m/s", -100, 100, "stw", "speed"),
    _is("magnetic_variation", "deg", -180, 180, "", None),
    _is("apparent_wind_angle", "deg", -180, 360, "", None),
    _is("true_wind_angle", "deg", -180, 360, "", None),
    _is("satellites", "1", 0, 200, "satellites_used satellites_in_use", None),
    _is("satellites_in_view", "1", 0, 500, "", None),
    _is("hdop", "1", 0, 100, "", None),
    _is("vdop", "1", 0, 100, "", None),
    _is("pdop", "1", 0, 100, "", None),
    _is("fix_quality", "1", 0, 9, "", None),
    _is("fix_mode", "1", 1, 3, "", None),
    _is("fix_valid", "1", 0, 1, "", None),
    _is("geoid_separation", "m", -200, 200, "", "distance"),
    _is("pitch", "deg", -180, 180, "", None),
    _is("roll", "deg", -180, 180, "", None),
    _is("rudder_angle", "deg", -180, 180, "", None),
    _is("acceleration", "m/s2", -1e5, 1e5, "accel", None),
    *(
        _is(
            f"acceleration_{axis}",
            "m/s2",
            -1e5,
            1e5,
            f"accel_{axis} acc_{axis} {axis}_acceleration {axis}_axis_acceleration",
            None,
        )
        for axis in "xyz"
    ),
    _is("signal_strength", "dBm", -250, 60, "rssi wifi_signal signal_dbm rsrp wifi_rssi"),
    _is("signal_to_noise_ratio", "dB", -100, 150, "snr signal_to_noise lora_snr", None),
    _is("link_quality", "1", 0, 255, "lqi linkquality", None),
    _is("duration", "s", -1e12, 1e12),
    _is("uptime", "s", 0, 1e11, "up_time", "duration"),
    _is("time_to_go", "s", 0, 1e9, "", "duration"),
    _is("data_size", "By", 0, 1e20),
    _is("data_rate", "bit/s", 0, 1e18, "bit_rate bitrate"),
)

QUANTITIES: Final[Mapping[str, Quantity]] = MappingProxyType(
    {row.name: row for row in (*_CLIMATE, *_WEATHER, *_AIR, *_ELECTRICITY, *_OTHER)}
)
"""Every quantity by its name."""
