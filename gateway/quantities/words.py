"""Words in vendors' names: data for `gateway.quantities`, which explains how they are used."""

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CLEAR_WITH_UNIT: Final = {
    "bat batt battery": {"voltage": "battery_voltage", "ratio": "battery"},
    "t tmp": {"temperature": "temperature"},
    "h": {"ratio": "humidity"},
    "p": {"pressure": "pressure", "power": "power"},
    "u v": {"voltage": "voltage"},
    "i": {"current": "current"},
    "press pres": {"pressure": "pressure"},
    "rain precipitation": {
        "length": "precipitation",
        "precipitation_intensity": "precipitation_intensity",
    },
    "light light_level ambient_light brightness luminosity": {"illuminance": "illuminance"},
    "solar radiation light": {"irradiance": "irradiance"},
    "radiation": {"dose_rate": "radiation_dose_rate", "count_rate": "count_rate"},
    "wind": {"speed": "wind_speed", "angle": "wind_direction"},
    "noise sound loudness": {"sound_pressure": "sound_pressure", "level": "sound_pressure"},
    "soil": {
        "ratio": "moisture",
        "temperature": "soil_temperature",
        "conductivity": "conductivity",
    },
    "ec": {"conductivity": "conductivity"},
    "voc tvoc volatile_organic_compounds": {
        "concentration": "volatile_organic_compounds",
        "parts": "volatile_organic_compounds_parts",
    },
    "no2": {"concentration": "nitrogen_dioxide"},
    "no": {"concentration": "nitrogen_monoxide"},
    "o3": {"concentration": "ozone"},
    "so2": {"concentration": "sulphur_dioxide"},
    "hcho ch2o": {"concentration": "formaldehyde"},
    "humidity": {"concentration": "absolute_humidity"},
    "power": {"apparent_power": "apparent_power", "reactive_power": "reactive_power"},
    "energy": {"apparent_energy": "apparent_energy", "reactive_energy": "reactive_energy"},
    "total consumption": {"volume": "volume", "energy": "energy", "power": "power"},
    "import": {"energy": "energy_import"},
    "export": {"energy": "energy_export"},
    "flow": {"volume_flow": "volume_flow_rate"},
    "gas gas_total total_gas gas_consumption": {"volume": "gas_volume"},
    "water water_total total_water water_consumption": {"volume": "water_volume"},
    "capacity battery_capacity": {"charge": "charge", "ratio": "battery"},
    "freq": {"frequency": "frequency"},
    "signal": {"signal_strength": "signal_strength"},
}
"""Names that a unit makes clear: per dimension of the unit, the field."""

WEAK: Final = _words(
    """
    level depth speed velocity distance dist duration volume charge weight mass current power
    frequency heading course altitude alt elevation acceleration accel co uv uvi hum soc
    lat lon lng slp spl cog pf volt volts watt watts amps
    """
)
"""Ordinary words: without a unit they stand alone or with a place, never after any word."""

PLACES: Final = _words(
    """
    l1 l2 l3 n a b c ab bc ca l12 l23 l31 phase line channel ch ac dc input output in out total
    min max avg average mean minimum maximum peak rms sum x y z left right front rear top bottom
    upper lower active load grid pv solar mains net battery
    import export subscribed overload
    """
)
QUALIFIERS: Final = PLACES | _words(
    """
    indoor outdoor inside outside internal external ambient room air water soil ground surface
    floor wall ceiling supply return flow inlet outlet feed flue tank boiler pool probe sensor
    device board chip cpu gpu core mcu module case heatsink cabin body object skin leaf
    bat last daily hourly weekly monthly yearly today yesterday day night hour week month year
    primary secondary hot cold north south east west house garage kitchen bathroom bedroom
    cellar target set setpoint local measured remote corrected filtered cf1 cf atm std
    standard env tariff light wind rain gas heat
    """
)
SPOILERS: Final = _words(
    """
    alarm alert calibration offset correction compensation unit units mode status state setting
    settings threshold limit enable enabled sensitivity count counter version interval period id
    name type color colour tx transmit blood low is has no fan update report trend outage valid
    error fault flag warning resolution precision accuracy class display show led log bit font
    screen media player sampling refresh download upload print test time timestamp cal
    """
)
